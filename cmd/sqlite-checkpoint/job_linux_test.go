package main

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// niceWriter notes the nice values of the threads that write to it, as the system call has them: 20
// is normal, 1 the lowest.
type niceWriter struct{ seen []int }

func (w *niceWriter) Write(p []byte) (int, error) {
	value, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid())
	w.seen = append(w.seen, value)
	return len(p), err
}

func TestSendingGivesWay(t *testing.T) {
	db := filepath.Join(t.TempDir(), "app.db")
	if out, err := exec.Command(testkit.Tool(t, "sqlite3"), db,
		"CREATE TABLE t(x); INSERT INTO t VALUES(zeroblob(100000));").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	snap, err := engine.TakeSnapshot(context.Background(), db, engine.SnapshotOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	j := job{plan: plan{streamFlags: &streamFlags{}}, con: &console{}}
	var w niceWriter
	if _, err := j.send(&w, snap); err != nil {
		t.Fatal(err)
	}
	if w.seen[0] != 1 {
		t.Errorf("written with the priorities %v, want 1, the lowest, first", w.seen)
	}
}
