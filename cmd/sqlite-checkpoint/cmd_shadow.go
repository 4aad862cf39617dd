package main

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

type shadowCmd struct {
	Dirs        operands      `arg:"" name:"dir" help:"Directories, searched for databases by content."`
	Command     []string      `arg:"" name:"cmd" passthrough:"partial" help:"After --: a command and its arguments."`
	Exclude     []string      `placeholder:"GLOB" sep:"none" help:"Leave what matches GLOB as it is; repeatable."`
	Stage       string        `placeholder:"DIR" help:"${stage_help}"`
	Jobs        jobCount      `short:"j" placeholder:"N" help:"Databases copied at a time (default: cores, at most 4)."`
	KeepGoing   bool          `help:"${keep_going_help}"`
	NoManifest  bool          `help:"Do not show CMD a .sqlite-checkpoint.sha256 in each DIR."`
	Check       engine.Check  `default:"auto" enum:"auto,quick,full,none" placeholder:"LEVEL" help:"${check_help}"`
	BusyTimeout time.Duration `default:"10s" help:"How long to wait for a locked database (default: ${default})."`
	Grace       time.Duration `default:"5s" help:"How long CMD may take to exit after TERM (default: ${default})."`
	metricsFlag
}

func (*shadowCmd) Help() string {
	return `CMD sees DIR as it is, but every SQLite database in it is a verified copy: at the same path, with the same
owner, mode and times, and without -wal, -shm and -journal. CMD starts when every copy has passed its check. It runs in
a mount namespace of its own (root's, or one in a user namespace), so no other process sees the copies at these paths.
A directory that holds a database is shown as it was when CMD started. Have CMD write its output elsewhere: a file
that it creates in such a directory is lost, with exit status 7.

Without --stage the copies are in a private directory .sqlite-checkpoint-stage-*, in DIR's parent if it can be created
there; it is removed at the end, and after SIGKILL by the next run. If this program is killed, CMD and everything it
has started are killed. If its guard process ("command-guard") gets SIGKILL at the same instant, the kernel kills CMD
alone.

  sqlite-checkpoint shadow /srv/app -- restic backup /srv/app

Where mount namespaces are forbidden, as in most containers, {stage} in CMD's arguments stands for a directory that
holds the copies, by their whole paths, and {exclude} for a file that lists the live databases:

  sqlite-checkpoint shadow --stage /var/lib/stage /srv/app -- restic backup --exclude-file {exclude} /srv/app {stage}

To restore, copy the restored stage over the restored DIR, then verify it:

  restic restore latest --target back
  cp -a back/var/lib/stage/srv/app/. back/srv/app/
  sqlite-checkpoint verify back/srv/app`
}

// The operands are the arguments before CMD.
type operands []string

// Decode is how kong reads it.
func (o *operands) Decode(ctx *kong.DecodeContext) error {
	for ctx.Scan.Peek().IsValue() {
		*o = append(*o, ctx.Scan.Pop().String())
	}
	return nil
}

// A jobCount is how many databases are copied, or commands run, at a time; 0 if it was not given.
type jobCount int

// UnmarshalText is called by kong.
func (j *jobCount) UnmarshalText(b []byte) error {
	n, err := strconv.Atoi(string(b))
	if err != nil || n < 1 {
		return errors.New("must be a number, at least 1")
	}
	*j = jobCount(n)
	return nil
}

func (j jobCount) orDefault() int { return cmp.Or(int(j), min(runtime.NumCPU(), 4)) }

// Validate rejects invalid flags before any work is done.
func (cmd *shadowCmd) Validate() error {
	switch {
	case cmd.BusyTimeout < 0 || cmd.Grace < 0:
		return errors.New("a time must not be negative")
	case cmd.Stage == "" && cmd.mentions(stageMark):
		return errors.New(stageMark + " needs --stage DIR")
	case cmd.mentions(excludeMark) && !cmd.mentions(stageMark):
		return errors.New(excludeMark + " goes with " + stageMark + ": without it CMD sees no live database")
	}
	return nil
}

// Marks in CMD's arguments.
const (
	stageMark   = "{stage}"
	excludeMark = "{exclude}"
)

// mentions reports whether CMD's arguments contain a mark.
func (cmd *shadowCmd) mentions(mark string) bool {
	return strings.Contains(strings.Join(cmd.Command, "\x00"), mark)
}

// Run is the command.
func (cmd *shadowCmd) Run(ctx context.Context, con *console) error {
	start := time.Now()
	con.streaming = true // stdout is CMD's
	s, err := cmd.prepare(con)
	if err != nil {
		return err
	}
	if err := s.search(ctx); err != nil {
		return err
	}
	if err := s.openStage(); err != nil {
		return err
	}
	defer s.closeStage()
	if err := s.copy(ctx); err != nil {
		return err
	}
	failed := s.failure()
	if failed != nil && !cmd.KeepGoing {
		return failed
	}
	if err := s.arrange(); err != nil {
		return err
	}
	if err := s.runCommand(ctx); err != nil {
		return err
	}
	wrong := cmp.Or(failed, s.appeared(ctx), s.lost())
	result := s.result(start)
	result.whole = wrong == nil
	shown := con.show(result.fit())
	con.result = result // for the report, in which there is room
	return cmp.Or(wrong, shown)
}
