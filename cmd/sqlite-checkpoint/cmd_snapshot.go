package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

type snapshotCmd struct {
	backupCmd
	checkpointFlags
}

func (*snapshotCmd) Help() string {
	return `Normally use backup. snapshot checkpoints first, which keeps the write-ahead log short where the
application does not. Beside Litestream, or an application whose SQLite is older than 3.51.3, use backup.

The checkpoint writes to DB, the backup does not. If the checkpoint is blocked or fails, a note says so, and the backup
is made nevertheless: it contains the write-ahead log in any case.

  sqlite-checkpoint snapshot app.db copy.db
  sqlite-checkpoint snapshot app.db - | restic backup --stdin --stdin-filename /srv/app/app.db`
}

// Run is the command.
func (cmd *snapshotCmd) Run(ctx context.Context, con *console) error {
	start := time.Now()
	j, err := cmd.job(con)
	if err != nil {
		return err
	}
	opts := engine.CheckpointOptions{Mode: engine.CheckpointMode(cmd.Mode), BusyTimeout: engineTimeout(cmd.BusyTimeout)}
	con.caution(ctx, cmd.DB)
	did, checkpointErr := con.checkpoint(ctx, cmd.DB, opts)
	backup, err := j.run(ctx)
	if err != nil {
		return err
	}
	result := snapshotResult{Command: "snapshot", Checkpoint: cmd.describeCheckpoint(con, did, checkpointErr)}
	result.Backup.imageFields, result.Backup.streamFields = backup.imageFields, backup.streamFields
	result.Elapsed = since(start)
	return con.show(&result)
}

// describeCheckpoint reports the checkpoint; its failure is only a note.
func (cmd *snapshotCmd) describeCheckpoint(con *console, did engine.CheckpointResult, err error) snapshotCheckpoint {
	result := snapshotCheckpoint{checkpointFields: checkpointFieldsOf(cmd.Mode, did)}
	if err == nil {
		err = blocked(cmd.DB, cmd.Mode, did)
	}
	switch {
	case err != nil:
		result.Busy = result.Busy || errors.Is(err, engine.KindBusy)
		result.Error = text(err.Error())
		con.note("no checkpoint, but the backup has everything: " + err.Error())
	case !did.WAL:
		con.note(noWAL(cmd.DB))
	}
	return result
}

type snapshotCheckpoint struct {
	checkpointFields
	Error text `json:"error,omitempty"`
}

type snapshotResult struct {
	Command    string             `json:"command"`
	Checkpoint snapshotCheckpoint `json:"checkpoint"`
	Backup     struct {
		imageFields
		streamFields
	} `json:"backup"`
	Elapsed millis `json:"elapsed_ms"`
}

// lines end as those of a backup do. "snapshot complete" are the words that the original printed.
func (r *snapshotResult) lines() []string {
	backup := backupResult{imageFields: r.Backup.imageFields, streamFields: r.Backup.streamFields}
	var lines []string
	if !r.Checkpoint.skipped && r.Checkpoint.Error == "" {
		lines = append(lines, "checkpoint: "+r.Checkpoint.describe(), r.Checkpoint.outcome())
	}
	lines = append(lines, backup.lines()...)
	return slices.Insert(lines, len(lines)-1, "snapshot complete")
}
