package main

import (
	"context"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// takeSnapshot is engine.TakeSnapshot. Ctrl-Z is delayed until the source is free.
func (c *console) takeSnapshot(
	ctx context.Context, source string, opts engine.SnapshotOptions,
) (*engine.Snapshot, error) {
	release := c.suspension.Hold()
	defer release()
	follow := opts.Progress
	if follow == nil {
		follow = c.progress.engine
	}
	opts.Progress = func(at engine.Progress) {
		if at.Phase == engine.PhaseCheck {
			release()
		}
		follow(at)
	}
	opts.Go = func(f func()) { background(f) }
	opts.GoCopy = func(f func()) { yielding(f) }
	opts.GoLocked = func(f func()) { urgent(f) }
	return engine.TakeSnapshot(ctx, source, opts)
}

// checkpoint is engine.Checkpoint. Ctrl-Z is delayed until the source is free.
func (c *console) checkpoint(ctx context.Context, db string, opts engine.CheckpointOptions) (
	engine.CheckpointResult, error) {
	defer c.suspension.Hold()()
	return engine.Checkpoint(ctx, db, opts)
}
