package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

type restoreCmd struct {
	Src   string       `arg:"" name:"src" help:"A file, or - for stdin: a stream, compressed or not, or a bare database image."`
	DB    string       `arg:"" name:"db" help:"The new database."`
	Check engine.Check `default:"auto" enum:"auto,quick,full" placeholder:"LEVEL" help:"SQLite's check of the image: auto, quick or full (${default})."`
	proofFlags
}

func (*restoreCmd) Help() string {
	return `DB appears, whole and durable, once the stream has been proven complete and SQLite has checked it. Never is
anything replaced: DB must not exist, nor a DB-wal, DB-shm or DB-journal, which would ruin it.

  restic dump latest app.db | sqlite-checkpoint restore - app.db`
}

// Run is the command.
func (cmd *restoreCmd) Run(ctx context.Context, con *console) error {
	start := time.Now()
	if cmd.DB == "" {
		return usagef("DB is empty")
	}
	if err := engine.CheckDestination(cmd.file(), cmd.DB); err != nil {
		return cmd.advise(err)
	}
	in, err := openInput(ctx, cmd.Src, cmd.proofFlags)
	if err != nil {
		return err
	}
	defer in.Close()
	size, err := in.ImageSize()
	if err != nil {
		return readFault("restore", cmd.Src, err)
	}
	info, err := engine.Install(ctx, in, cmd.DB, engine.InstallOptions{Check: cmd.Check, Size: size, Progress: con.progress.engine})
	if err != nil {
		return cmd.advise(readFault("restore", cmd.Src, err))
	}
	result := restoreResult{
		Command: "restore", Source: path(cmd.Src), Destination: path(cmd.DB),
		verified:    verifiedAs(in.Summary(), info.Level, info.WAL),
		CheckReason: text(info.Reason),
	}
	result.Elapsed = since(start)
	cmd.tell(con, info.Info, result.verified)
	return con.show(&result)
}

// file is the name of SRC, if it has one.
func (cmd *restoreCmd) file() string {
	if cmd.Src == "-" {
		return ""
	}
	return cmd.Src
}

// advise says what to do about a database that is already there.
func (cmd *restoreCmd) advise(err error) error {
	if !engine.IsKind(err, engine.KindExists) {
		return err
	}
	return &fault{
		kind: string(engine.KindExists), err: err,
		hint: fmt.Sprintf("stop the application, then move %s and its -wal, -shm and -journal away together", cmd.DB),
	}
}

func (cmd *restoreCmd) tell(con *console, info engine.Info, v verified) {
	if info.Reason != "" {
		con.warn(fmt.Sprintf("%s: check %s only: %s", cmd.DB, info.Level, info.Reason))
	}
	v.tell(con)
	where := filepath.Dir(cmd.DB)
	stat, err := os.Stat(where)
	if err != nil {
		return
	}
	if owner, ok := stat.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
		con.advise(fmt.Sprintf("%s belongs to somebody else, who may need: chown %d:%d %s", where, owner.Uid, owner.Gid, cmd.DB))
	}
}

type restoreResult struct {
	Command     string `json:"command"`
	Source      path   `json:"source"`
	Destination path   `json:"destination"`
	verified
	CheckReason text   `json:"check_reason,omitempty"`
	Elapsed     millis `json:"elapsed_ms"`
}

func (r *restoreResult) lines() []string {
	return []string{fmt.Sprintf("%s -> %s: %s", r.Source, r.Destination, r.describe()), complete(r.SizeBytes, r.SHA256)}
}
