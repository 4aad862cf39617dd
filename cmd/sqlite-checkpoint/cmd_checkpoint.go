package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// checkpointFlags belong to every command that checkpoints.
type checkpointFlags struct {
	Mode mode `short:"m" default:"passive" placeholder:"MODE" values:"passive,full,restart,truncate" help:"${modes}"`
}

// A mode is an engine.CheckpointMode, in upper or lower case.
type mode engine.CheckpointMode

// UnmarshalText is called by kong.
func (m *mode) UnmarshalText(b []byte) error {
	switch known := engine.CheckpointMode(strings.ToLower(string(b))); known {
	case engine.CheckpointPassive, engine.CheckpointFull, engine.CheckpointRestart, engine.CheckpointTruncate:
		*m = mode(known)
		return nil
	}
	return errors.New("must be one of passive, full, restart, truncate")
}

// String returns the name in upper case, as SQLite and the results write it.
func (m mode) String() string { return strings.ToUpper(string(m)) }

type checkpointCmd struct {
	DB string `arg:"" name:"db" help:"The database."`
	checkpointFlags
	BusyTimeout time.Duration `default:"10s" help:"How long to wait for readers and writers (default: ${default})."`
}

func (*checkpointCmd) Help() string {
	return `passive copies back what it can without waiting. full, restart and truncate wait for writers and readers,
at most --busy-timeout, and exit with status 4 if they time out; truncate also empties the log. Backups need no
checkpoint: they contain the write-ahead log in any case.

  sqlite-checkpoint checkpoint app.db
  sqlite-checkpoint checkpoint --mode truncate app.db`
}

// Run is the command.
func (cmd *checkpointCmd) Run(ctx context.Context, con *console) error {
	if cmd.DB == "" {
		return usagef("DB is empty")
	}
	if cmd.BusyTimeout < 0 {
		return usagef("--busy-timeout must not be negative")
	}
	start := time.Now()
	opts := engine.CheckpointOptions{Mode: engine.CheckpointMode(cmd.Mode), BusyTimeout: engineTimeout(cmd.BusyTimeout)}
	con.caution(ctx, cmd.DB)
	did, err := con.checkpoint(ctx, cmd.DB, opts)
	if err != nil {
		return err
	}
	if !did.WAL {
		con.note(noWAL(cmd.DB))
	}
	result := checkpointResult{
		Command: "checkpoint", checkpointFields: checkpointFieldsOf(cmd.Mode, did),
		Database: path(cmd.DB), Elapsed: since(start),
	}
	if err := con.show(&result); err != nil {
		return err
	}
	return blocked(cmd.DB, cmd.Mode, did)
}

// caution notes what a checkpoint can do to the application. It does not affect the result.
func (c *console) caution(ctx context.Context, db string) {
	in, err := engine.Inspect(ctx, db)
	switch {
	case err != nil: // which the checkpoint will report
	case in.Litestream != "":
		c.note(db + " is replicated by Litestream, which other checkpoints disturb: " +
			"use backup, which needs no checkpoint")
	case in.WALResetBug && in.InUse == engine.InUseYes:
		c.note(fmt.Sprintf("%s is in use and was last written by SQLite %s, which can lose a commit when another "+
			"process checkpoints (WAL-reset bug): use backup, which needs no checkpoint", db, in.SQLiteVersion))
	}
}

// blocked returns an error if others blocked the checkpoint until its timeout.
func blocked(db string, m mode, did engine.CheckpointResult) error {
	if !did.Busy {
		return nil
	}
	return &fault{
		kind: engine.KindBusy,
		err:  fmt.Errorf("checkpoint %s: %s was blocked by a reader or a writer", db, m),
		hint: "end the transaction that is open there, or use --mode passive, which does not wait",
	}
}

func noWAL(db string) string { return db + " is not in WAL mode: nothing to checkpoint" }

// checkpointFields describe what a checkpoint did. A page is a frame of the WAL.
type checkpointFields struct {
	Mode         string `json:"mode"`
	Busy         bool   `json:"busy"`
	WALPages     int    `json:"wal_pages"`
	Checkpointed int    `json:"checkpointed_pages"`
	Complete     bool   `json:"fully_checkpointed"`
	skipped      bool   // not in WAL mode, as a note has said
}

func checkpointFieldsOf(m mode, did engine.CheckpointResult) checkpointFields {
	return checkpointFields{
		Mode:         m.String(),
		Busy:         did.Busy,
		WALPages:     did.Pages,
		Checkpointed: did.Checkpointed,
		Complete:     did.Complete,
		skipped:      !did.WAL,
	}
}

// outcome returns the words that the original printed.
func (f checkpointFields) outcome() string {
	if f.Complete {
		return "checkpoint " + f.Mode + " complete"
	}
	return "checkpoint " + f.Mode + " incomplete"
}

func (f checkpointFields) describe() string {
	if f.WALPages == 0 && f.Complete {
		return fmt.Sprintf("nothing to checkpoint (%s)", f.Mode)
	}
	text := fmt.Sprintf("%d of %d WAL pages checkpointed (%s)", f.Checkpointed, f.WALPages, f.Mode)
	if !f.Complete {
		text += ", the others are in use"
	}
	return text
}

type checkpointResult struct {
	Command string `json:"command"`
	checkpointFields
	Database path   `json:"database"`
	Elapsed  millis `json:"elapsed_ms"`
}

func (r *checkpointResult) lines() []string {
	if r.skipped {
		return nil
	}
	return []string{fmt.Sprintf("%s: %s", r.Database, r.describe()), r.outcome()}
}
