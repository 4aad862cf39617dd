package engine

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestSnapshotInProcess: reading a database that this process has open would drop its locks.
func TestSnapshotInProcess(t *testing.T) {
	db := newWAL(t)
	c, err := openConn(db, "mode=rw")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _, err = snapshot(t, db, SnapshotOptions{})
	wantKind(t, err, KindInProcess)
	_, err = Checkpoint(context.Background(), db, CheckpointOptions{})
	wantKind(t, err, KindInProcess)
}

func TestSnapshotCommit(t *testing.T) {
	db := newWAL(t)
	dest := filepath.Join(t.TempDir(), "copy.db")
	s, err := TakeSnapshot(context.Background(), db, SnapshotOptions{Destination: dest})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
	image, err := io.ReadAll(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	onDisk, err := os.ReadFile(dest)
	if err != nil || !bytes.Equal(onDisk, image) {
		t.Errorf("%v; %d bytes on disk, %d read", err, len(onDisk), len(image))
	}
	if names, _ := os.ReadDir(filepath.Dir(dest)); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
	if info, _ := os.Stat(dest); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestSnapshotReplaced(t *testing.T) {
	db := newWAL(t)
	other := newWAL(t)
	_, _, err := snapshot(t, db, SnapshotOptions{Progress: func(p Progress) {
		if p.Phase == PhaseCopy {
			os.Rename(other, db)
		}
	}})
	wantKind(t, err, KindChanged)
}

// TestSnapshotReplacedInUse: nothing else fails when a database is replaced that an application
// uses.
func TestSnapshotReplacedInUse(t *testing.T) {
	db, other := newWAL(t), newWAL(t)
	open(t, db, addRows)
	_, _, err := snapshot(t, db, SnapshotOptions{PagesPerStep: 1, Progress: func(p Progress) {
		if p.Phase == PhaseCopy {
			os.Rename(other, db)
		}
	}})
	wantKind(t, err, KindChanged)
}

// TestSnapshotGuard: what is read without locks is discarded if a process writes meanwhile.
func TestSnapshotGuard(t *testing.T) {
	db := newWAL(t)
	disturbed := 0
	image, _, err := snapshot(t, db, SnapshotOptions{PagesPerStep: 1, Progress: func(p Progress) {
		if p.Phase == PhaseCopy && disturbed == 0 {
			disturbed++
			sqlite(t, db, addRows)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := rows(t, image); got != "ok\n600" || disturbed != 1 {
		t.Errorf("the image says %q after %d disturbances", got, disturbed)
	}
}

// TestSnapshotLock: an application that closes while the source is read does not remove its -wal.
func TestSnapshotLock(t *testing.T) {
	db := newWAL(t)
	src, err := openSource("open", db)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	p, err := src.beginRead(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, pinned := range []bool{true, false} {
		sqlite(t, db, addRows)
		if _, err := os.Stat(db + "-wal"); (err == nil) != pinned {
			t.Errorf("read %v: after the application has closed, the -wal: %v", pinned, err)
		}
		p.Close()
	}
}
