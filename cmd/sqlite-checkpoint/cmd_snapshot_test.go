package main

import (
	"errors"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// TestSnapshotReportsBusy: a checkpoint that cannot even open the database in time is busy, like
// one that is blocked.
func TestSnapshotReportsBusy(t *testing.T) {
	for _, c := range []struct {
		name string
		did  engine.CheckpointResult
		err  error
		busy bool
	}{
		{"locked", engine.CheckpointResult{}, &engine.Error{Kind: engine.KindBusy, Err: errors.New("locked")}, true},
		{"blocked", engine.CheckpointResult{WAL: true, Busy: true}, nil, true},
		{"not the owner", engine.CheckpointResult{}, &engine.Error{Kind: engine.KindNotOwner, Err: errors.New("x")},
			false},
		{"done", engine.CheckpointResult{WAL: true, Complete: true}, nil, false},
	} {
		captured(t, func(con *console) {
			if got := (&snapshotCmd{}).describeCheckpoint(con, c.did, c.err); got.Busy != c.busy ||
				(got.Error != "") != (c.busy || c.err != nil) {
				t.Errorf("%s: %+v", c.name, got)
			}
		})
	}
}
