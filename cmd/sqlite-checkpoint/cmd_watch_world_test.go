//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/watch"
	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// A HUP that arrives while watch still reads its state does not end it.
func TestWatchHangupBeforeReady(t *testing.T) {
	w := newWatching(t, "a")
	state := watch.State{Jobs: map[string]watch.JobState{}}
	for i := range 50_000 {
		done := map[string]engine.Token{fmt.Sprint("/gone/", i): {}}
		state.Jobs[fmt.Sprint("/gone/", i)] = watch.JobState{Began: time.Now(), Done: done}
	}
	if err := os.WriteFile(w.path("state"), state.Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	w.start(watchLog, "--each", "--state", "state")
	w.until("watch has opened its state", func() bool {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", w.process.Pid))
		return slices.ContainsFunc(files, func(file string) bool {
			target, _ := os.Readlink(file)
			return target == w.path("state")
		})
	})
	w.signal(syscall.SIGHUP)
	w.until("CMD has run", func() bool { return len(w.runs()) > 0 })
	w.signal(syscall.SIGTERM)
	w.mustEnd(0)
}

// What a CMD has started that was stopped by --timeout gets the same time to end, and is killed
// then; the next run does not begin before.
func TestWatchTimeoutEndsGroup(t *testing.T) {
	w := newWatching(t, "a")
	w.start(`test -e pid && { echo >second; exit; }
		(trap '' TERM; while :; do sleep 0.02; echo >alive; done) & echo $! >pid; wait`,
		"--each", "--json", "--timeout", "2s", "--grace", "2s")
	w.until("CMD was stopped", w.timedOut)
	pid, _ := os.ReadFile(w.path("pid"))
	w.until("what CMD has started was killed", func() bool {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
	w.until("a second run", func() bool { return w.exists("second") })
}

func (w *watching) timedOut() bool {
	return strings.Contains(strings.Join(w.said(), "\n"), `"timed_out":true`)
}

// A shell exits at once after TERM; what it has started may finish within --grace.
func TestWatchTimeoutLetsGroupFinish(t *testing.T) {
	w := newWatching(t, "a")
	w.start(`test -e done && exit; sh -c 'trap "sleep 1; echo >done; exit" TERM; while :; do sleep 0.02; done'; :`,
		"--each", "--json", "--timeout", "2s", "--grace", "1m")
	w.until("the run has ended", w.timedOut)
	if !w.exists("done") {
		t.Errorf("what CMD had started was not finished: %q", w.said())
	}
}

// The metrics of a database whose name is not UTF-8 are kept when others are updated.
func TestWatchMetricsOfOddNames(t *testing.T) {
	w := newWatching(t, "a\xff", "b\n", "--c \"'")
	w.start(`echo x >>log`, "--each", "--metrics", "m.prom")
	const success = "\nsqlite_checkpoint_last_success_timestamp_seconds{"
	var before string
	for round := range 3 {
		w.until("all is saved", func() bool {
			data, _ := os.ReadFile(w.path("m.prom"))
			saved := string(data)
			if len(w.runs()) < 3+round || saved == before || strings.Contains(saved, "\"} 1\n") ||
				strings.Count(saved, success) != 3 || !strings.Contains(saved, `/a\\xff"}`) {
				return false
			}
			before = saved
			return true
		})
		w.commit("b\n")
	}
}

// Root does not believe another user's state file, unless it is in that user's own directory.
func TestWatchForeignState(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	w := newWatching(t, "a")
	once := func(state string) string {
		t.Helper()
		cmd := exec.Command(program, "watch", "--once", "--state", w.path(state), w.path("data"), "--", "true")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v %s", err, out)
		}
		return string(out)
	}
	once("state")
	state, err := os.ReadFile(w.path("state"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(w.path("their"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"foreign", "their/own"} {
		if err := os.WriteFile(w.path(name), state, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"foreign", "their/own", "their"} {
		if err := os.Chown(w.path(name), 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	if out := once("foreign"); !strings.Contains(out, "belongs to another user") || !strings.Contains(out, " 1 run,") {
		t.Errorf("in root's directory: %s", out)
	}
	if out := once("foreign"); !strings.Contains(out, " 0 runs,") {
		t.Errorf("the next run: %s", out)
	}
	if out := once("their/own"); !strings.Contains(out, " 0 runs,") {
		t.Errorf("in its owner's directory: %s", out)
	}
}

// With --at-least CMD runs again although nothing was committed.
func TestWatchAtLeast(t *testing.T) {
	w := newWatching(t, "a", "b")
	w.start(watchLog, "--each", "--at-least", "300ms")
	w.until("both run twice", func() bool {
		runs := strings.Join(w.runs(), " ")
		return strings.Contains(runs, "a a") && strings.Contains(runs, "b b")
	})
}

// An idle database is not opened.
func TestWatchOpensNothing(t *testing.T) {
	w := newWatching(t, "a", "b")
	w.start(watchLog, "--each")
	w.untilRuns("a", "b")
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := unix.InotifyAddWatch(fd, w.path("data/a"), unix.IN_ALL_EVENTS); err != nil {
		t.Fatal(err)
	}
	w.commit("b")
	w.untilRuns("a", "b", "b")
	if n, err := unix.Read(fd, make([]byte, 4096)); err != unix.EAGAIN {
		t.Errorf("%d bytes of events, error %v", n, err)
	}
}
