package engine

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestBackground(t *testing.T) {
	before := niceValues(t)
	nice := make(chan int)
	for range 100 {
		Background(func() { nice <- ownNice(t) })
	}
	for range 100 {
		if got := <-nice; got != lowest {
			t.Fatalf("nice %d", got)
		}
	}
	for deadline := time.Now().Add(time.Minute); niceValues(t)[lowest] > before[lowest]; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("threads of low priority are left, for other goroutines to run on: %v", niceValues(t))
		}
	}
}

// TestLongCopy: a copy that takes long no longer gives way, as it keeps an application's checkpoint from ending.
func TestLongCopy(t *testing.T) {
	var last int
	_, _, err := snapshot(t, newWAL(t), SnapshotOptions{PagesPerStep: 1, Progress: func(p Progress) {
		if p.Phase != PhaseCopy {
			return
		}
		if last = ownNice(t); p.Done == 4096 {
			time.Sleep(niceFor)
		}
	}})
	if err != nil || last != ownNice(t) {
		t.Errorf("%v, ended with nice value %d", err, last)
	}
}

// TestCopyGivesWay: but not where writers wait for its end.
func TestCopyGivesWay(t *testing.T) {
	for _, c := range []struct {
		db   string
		want int
	}{{newWAL(t), polite}, {newRollback(t), ownNice(t)}} {
		var seen []int
		_, _, err := snapshot(t, c.db, SnapshotOptions{Progress: func(p Progress) {
			if p.Phase == PhaseCopy {
				seen = append(seen, ownNice(t))
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if len(seen) == 0 || seen[0] != c.want {
			t.Errorf("%s: copied with the nice values %v, want %d", c.db, seen, c.want)
		}
	}
}

func TestDigestGivesWay(t *testing.T) {
	before := niceValues(t)[lowest]
	d := startDigest(context.Background(), endless(t), 1<<40)
	defer d.stop()
	for deadline := time.Now().Add(time.Minute); niceValues(t)[lowest] == before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the digest has not the lowest priority")
		}
	}
}

// ownNice is the nice value of the thread that calls it.
func ownNice(t *testing.T) int {
	t.Helper()
	value, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid())
	if err != nil {
		t.Error(err)
	}
	return 20 - value // as the system call has it
}

// endless is a file that takes long to hash.
func endless(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
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
