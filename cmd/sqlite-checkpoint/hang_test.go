package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A nowhere is a sink that keeps nothing.
type nowhere struct{ io.Writer }

func (nowhere) Commit() error { return nil }
func (nowhere) Close() error  { return nil }

// The time between two writes to a network is not one in which it hangs.
func TestTimeBetweenWrites(t *testing.T) {
	const limit = 100 * time.Millisecond
	w := hangWatch{network: true}
	ended, err := w.Run(t.Context(), limit, func(context.Context) error {
		to := &watchedSink{sink: nowhere{io.Discard}, watch: &w, commits: true}
		for _, step := range []func() error{
			func() error { _, err := to.Write([]byte("piece")); return err }, to.Commit, to.Close,
		} {
			if err := step(); err != nil {
				return err
			}
			time.Sleep(3 * limit)
		}
		return nil
	})
	if !ended || err != nil {
		t.Errorf("ended %v, %v", ended, err)
	}
}

// A named pipe whose reader comes late is not a file system that hangs.
func TestLateReader(t *testing.T) {
	const limit = 200 * time.Millisecond
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	db, con := smallDatabase(t), newConsole(os.Stdout, os.Stderr)
	j, err := newJob(con, db, fifo, datedDest{}, &streamFlags{})
	if err != nil {
		t.Fatal(err)
	}
	snap, err := con.takeSnapshot(t.Context(), db, j.snapshotOptions(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	reader := make(chan *os.File, 1)
	time.AfterFunc(3*limit, func() {
		f, _ := os.OpenFile(fifo, os.O_RDWR, 0) // which waits for nobody
		reader <- f
	})
	defer func() { (<-reader).Close() }()
	w := hangWatch{network: j.network}
	_, err = w.Run(t.Context(), limit, func(ctx context.Context) error {
		_, err := j.deliver(ctx, snap, &w)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
