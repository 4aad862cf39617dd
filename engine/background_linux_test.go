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
		Background(func() {
			value, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid())
			if err != nil {
				t.Error(err)
			}
			nice <- 20 - value // as the system call has it
		})
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
