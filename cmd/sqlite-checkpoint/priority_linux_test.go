package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

func TestBackgroundPriority(t *testing.T) {
	before := niceValues(t)
	nice := make(chan int)
	for range 100 {
		background(func() { nice <- ownNice(t) })
	}
	for range 100 {
		if got := <-nice; got != lowestNice {
			t.Fatalf("nice %d", got)
		}
	}
	deadline := time.Now().Add(time.Minute)
	for ; niceValues(t)[lowestNice] > before[lowestNice]; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("threads of low priority are left, for other goroutines to run on: %v", niceValues(t))
		}
	}
}

// TestSnapshotPriority: a copy yields, unless writers wait for its end: then it takes what it may.
func TestSnapshotPriority(t *testing.T) {
	allowed := make(chan int)
	urgent(func() { allowed <- ownNice(t) })
	urgently := <-allowed
	if mayRaise(t) && urgently != urgentNice {
		t.Errorf("nice %d, want %d", urgently, urgentNice)
	}
	for mode, want := range map[string]int{"wal": lowNice, "delete": urgently} {
		db := filepath.Join(t.TempDir(), "app.db")
		live, err := testkit.StartShell(exec.Command(testkit.Tool(t, "sqlite3"), "-batch", db))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(live.Close)
		if _, err := live.Run("PRAGMA journal_mode=" + mode +
			"; CREATE TABLE t(x); INSERT INTO t VALUES(1);"); err != nil {
			t.Fatal(err)
		}
		var seen []int
		opts := engine.SnapshotOptions{TempDir: t.TempDir(), Progress: func(p engine.Progress) {
			if p.Phase == engine.PhaseCopy {
				seen = append(seen, ownNice(t))
			}
		}}
		snap, err := newConsole(os.Stdout, os.Stderr).takeSnapshot(context.Background(), db, opts)
		if err != nil {
			t.Fatal(err)
		}
		snap.Close()
		if len(seen) == 0 || seen[0] != want {
			t.Errorf("%s: copied with the nice values %v, want %d", mode, seen, want)
		}
	}
}

// mayRaise reports whether the process may raise priorities.
func mayRaise(t *testing.T) bool {
	t.Helper()
	var sets [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &sets[0]); err != nil {
		t.Fatal(err)
	}
	return sets[0].Effective&(1<<unix.CAP_SYS_NICE) != 0
}

// ownNice returns the nice value of the calling thread.
func ownNice(t *testing.T) int {
	t.Helper()
	value, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid())
	if err != nil {
		t.Error(err)
	}
	return 20 - value // as the system call has it
}

// niceValues counts the threads of this process by their nice values.
func niceValues(t *testing.T) map[int]int {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	count := map[int]int{}
	for _, task := range tasks {
		tid, err := strconv.Atoi(filepath.Base(task))
		if err != nil {
			t.Fatal(err)
		}
		if value, err := unix.Getpriority(unix.PRIO_PROCESS, tid); err == nil { // else it has just ended
			count[20-value]++
		}
	}
	return count
}
