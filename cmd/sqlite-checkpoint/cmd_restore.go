package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

type restoreCmd struct {
	Src string `arg:"" name:"src" help:"A stream or image: a file, - for stdin, or a directory of shards or copies."`
	DB  string `arg:"" name:"db" help:"The new database."`
	fromFlags
	atFlags
	SetAside bool `help:"${set_aside_help}"`
	attributeFlags
	Check engine.Check `default:"auto" enum:"auto,quick,full" placeholder:"LEVEL" help:"${restore_check_help}"`
	proofFlags
}

func (*restoreCmd) Help() string {
	return `DB appears only when the stream is proven complete, SQLite has checked it, and it is on disk. Nothing is
ever replaced: DB must not exist, nor DB-wal, DB-shm or DB-journal, which would corrupt it. --set-aside renames them.

With restic, name the host and the whole path, or the newest file of that name from any host is restored:

  restic dump --host "$(hostname)" --path /srv/app/app.db latest /srv/app/app.db | sqlite-checkpoint restore - app.db
  sqlite-checkpoint restore app.db.zst app.db
  sqlite-checkpoint restore --from-command app.db -- \
      restic dump --host "$(hostname)" --path /srv/app/app.db latest /srv/app/app.db
  sqlite-checkpoint restore --at "yesterday 18:00" /backup app.db`
}

// Run is the command.
func (cmd *restoreCmd) Run(ctx context.Context, con *console, parsed *kong.Context) error {
	start := time.Now()
	if err := cmd.takeCommand(parsed.Args); err != nil {
		return err
	}
	if cmd.DB == "" {
		return usagef("DB is empty")
	}
	if cmd.DB == "-" {
		return usagef("restore writes a database file, not stdout: name DB (./- for a file of that name)")
	}
	if err := cmd.check(cmd.file(), cmd.proofFlags); err != nil {
		return err
	}
	opts, err := cmd.options(start)
	if err != nil {
		return err
	}
	err = engine.CheckDestination(cmd.file(), cmd.DB)
	if err != nil && !(cmd.SetAside && errors.Is(err, engine.KindExists)) {
		return cmd.advise(err)
	}
	var result restoreResult
	if cmd.At != "" {
		result, err = cmd.installAt(ctx, con, opts, start)
	} else {
		result, err = cmd.install(ctx, con, cmd.Src, opts)
	}
	if err != nil {
		return err
	}
	result.Elapsed = since(start)
	result.warn(con)
	if opts.Owner == nil && !cmd.SetAside {
		cmd.hintAtOwner(con)
	}
	return con.show(&result)
}

// takeCommand splits the arguments of --from-command, which has no SRC: DB comes first, then CMD.
func (cmd *restoreCmd) takeCommand(args []string) error {
	if !cmd.FromCommand {
		return nil
	}
	if i := slices.Index(args, "--"); i >= 0 && len(args)-i-1 == 2+len(cmd.Command) {
		return usagef("missing argument: DB, before --")
	}
	if cmd.At != "" {
		return usagef("--from-command and --at cannot be used together")
	}
	cmd.DB, cmd.Src = cmd.Src, cmd.DB
	return nil
}

// install restores one stream or file.
func (cmd *restoreCmd) install(
	ctx context.Context, con *console, source string, opts engine.InstallOptions,
) (restoreResult, error) {
	in, err := cmd.open(ctx, source, cmd.proofFlags)
	if err != nil {
		return restoreResult{}, err
	}
	defer in.Close()
	if opts.Size, err = in.ImageSize(); err != nil {
		return restoreResult{}, readFault("restore", source, err)
	}
	opts.Progress = con.progress.engine
	info, err := engine.Install(ctx, in, cmd.DB, opts)
	if err != nil {
		return restoreResult{}, cmd.advise(readFault("restore", source, err))
	}
	con.warnOfCheck(cmd.DB, info.Info)
	return restoreResult{
		Command: "restore", Source: path(source), Destination: path(cmd.DB),
		verifyFields: verifyFieldsOf(in.Summary(), info.Level, info.WAL),
		CheckReason:  text(info.Reason),
		SetAside:     paths(info.Moved),
	}, nil
}

// file returns the name of SRC, empty for stdin.
func (cmd *restoreCmd) file() string {
	if cmd.Src == "-" || cmd.FromCommand {
		return ""
	}
	return cmd.Src
}

// options translates the flags for the engine. The name of what is set aside ends in the time of
// the restore.
func (cmd *restoreCmd) options(now time.Time) (engine.InstallOptions, error) {
	opts := engine.InstallOptions{Check: cmd.Check}
	if cmd.SetAside {
		opts.SetAside = unusedName(cmd.DB + "." + now.UTC().Format("20060102T150405Z"))
	}
	err := cmd.apply(&opts)
	return opts, err
}

// unusedName appends a number if a database of that name exists, as after another restore in the
// same second.
func unusedName(name string) string {
	for i, candidate := 2, name; ; i++ {
		if err := engine.CheckDestination("", candidate); !errors.Is(err, engine.KindExists) {
			return candidate
		}
		candidate = fmt.Sprintf("%s-%d", name, i)
	}
}

// advise adds a hint to the error of a database that exists or is in use, or cannot have its owner.
func (cmd *restoreCmd) advise(err error) error {
	switch {
	case errors.Is(err, engine.KindBusy):
		return &fault{kind: engine.KindBusy, err: err, hint: "stop the application, then try again"}
	case errors.Is(err, engine.KindTemp) && errors.Is(err, syscall.EPERM) && (cmd.Owner != "" || cmd.Like != ""):
		return &fault{kind: engine.KindTemp, err: err, hint: "run as root: only root can give a file to another user"}
	case !errors.Is(err, engine.KindExists):
		return err
	}
	if file := cmd.file(); file != "" {
		if missing := missingSource(file, "SRC comes first, then DB"); missing != nil {
			return missing
		}
	}
	if hint := insteadOf(cmd.DB); hint != "" {
		return &fault{kind: engine.KindExists, err: err, hint: hint}
	}
	hint := "stop the application, then move away together: " + strings.Join(cmd.inTheWay(), " ")
	if _, err := os.Lstat(cmd.DB); err == nil && !cmd.SetAside { // a -wal alone is not a database
		hint += "; or use --set-aside"
	}
	return &fault{kind: engine.KindExists, err: err, hint: hint}
}

// inTheWay lists the files of the old database.
func (cmd *restoreCmd) inTheWay() (names []string) {
	for _, name := range engine.DatabaseFiles(cmd.DB) {
		if _, err := os.Lstat(name); err == nil {
			names = append(names, name)
		}
	}
	return names
}

// hintAtOwner says how to give the new database to the owner of its directory.
func (cmd *restoreCmd) hintAtOwner(con *console) {
	where := filepath.Dir(cmd.DB)
	stat, err := os.Stat(where)
	if err != nil {
		return
	}
	if owner, ok := stat.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
		command := fmt.Sprintf("chown %d:%d %s", owner.Uid, owner.Gid, cmd.DB)
		con.advise(where + " has another owner, who may need: " + command)
	}
}

type restoreResult struct {
	Command     string `json:"command"`
	Source      path   `json:"source"`
	Destination path   `json:"destination"`
	verifyFields
	CheckReason text         `json:"check_reason,omitempty"`
	SetAside    []path       `json:"set_aside,omitempty"`
	Skipped     []prunedCopy `json:"skipped,omitempty"` // newer dated copies that are not whole
	Elapsed     millis       `json:"elapsed_ms"`
}

func (r *restoreResult) lines() []string {
	lines := []string{fmt.Sprintf("%s -> %s: %s", r.Source, r.Destination, r.describe())}
	for _, name := range r.SetAside {
		lines = append(lines, "set aside: "+string(name))
	}
	return append(lines, complete(fmt.Sprintf("%d bytes", r.SizeBytes), r.SHA256))
}
