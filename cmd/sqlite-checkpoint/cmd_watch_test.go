//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// A watching is a watch that runs in the background, on databases in a directory of its own. Its
// CMD appends what it works on to a file "log".
type watching struct {
	*testing.T
	dir     string
	env     []string
	under   []string // runs watch
	process *os.Process
	ended   chan struct{}
	status  int
	written map[string]bool // databases that were written since they were created

	lock   sync.Mutex
	output []string
}

const watchLog = `echo "$SQLITE_CHECKPOINT_NAME" >>log; `

// newWatching creates databases; start starts watch.
func newWatching(t *testing.T, databases ...string) *watching {
	t.Parallel()
	w := &watching{T: t, dir: t.TempDir(), ended: make(chan struct{}), written: map[string]bool{}}
	if err := os.Mkdir(w.path("data"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range databases {
		w.sqlite(name, "PRAGMA journal_mode=WAL; CREATE TABLE t(x);")
	}
	clear(w.written)
	return w
}

func (w *watching) path(name string) string { return filepath.Join(w.dir, name) }

func (w *watching) sqlite(name, sql string) {
	w.Helper()
	w.written[name] = true
	if out, err := exec.Command("sqlite3", w.path("data/"+name), sql).CombinedOutput(); err != nil {
		w.Fatalf("%v %s", err, out)
	}
}

func (w *watching) commit(name string) { w.Helper(); w.sqlite(name, "INSERT INTO t VALUES(1);") }

// start starts watch with a shell script as CMD and a short --poll.
func (w *watching) start(script string, flags ...string) {
	w.Helper()
	args := []string{program, "watch", "--poll", "100ms", "--every", "100ms"}
	args = slices.Concat(w.under, args, flags, []string{"data", "--", "sh", "-c", script})
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = w.dir, append(os.Environ(), w.env...)
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		w.Fatal(err)
	}
	w.process = cmd.Process
	go func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			w.lock.Lock()
			w.output = append(w.output, lines.Text())
			w.lock.Unlock()
		}
		cmd.Wait()
		w.status = exitStatus(cmd.ProcessState)
		close(w.ended)
	}()
	w.Cleanup(func() { cmd.Process.Kill(); <-w.ended })
}

func (w *watching) signal(s syscall.Signal) {
	w.Helper()
	if err := w.process.Signal(s); err != nil {
		w.Fatal(err)
	}
}

// until waits for a condition.
func (w *watching) until(what string, met func() bool) {
	w.Helper()
	for deadline := time.Now().Add(time.Minute); !met(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("timed out: %s\n%s", what, strings.Join(w.said(), "\n"))
		}
	}
}

// mustEnd waits for the end of watch.
func (w *watching) mustEnd(status int) {
	w.Helper()
	select {
	case <-w.ended:
	case <-time.After(time.Minute):
		w.Fatal("watch does not end")
	}
	if w.status != status {
		w.Errorf("exit status %d, want %d\n%s", w.status, status, strings.Join(w.said(), "\n"))
	}
}

func (w *watching) said() []string {
	w.lock.Lock()
	defer w.lock.Unlock()
	return slices.Clone(w.output)
}

// runs returns the names that CMD has logged, sorted.
func (w *watching) runs() []string {
	data, _ := os.ReadFile(w.path("log"))
	names := strings.Fields(string(data))
	slices.Sort(names)
	return names
}

// untilRuns waits for these runs. There may be more for a database that was written: a look can
// fall between two writes.
func (w *watching) untilRuns(want ...string) {
	w.Helper()
	count := func(names []string) map[string]int {
		counts := map[string]int{}
		for _, name := range names {
			counts[name]++
		}
		return counts
	}
	wanted := count(want)
	w.until(fmt.Sprintf("runs %q, so far %q", want, w.runs()), func() bool {
		got := count(w.runs())
		return !slices.ContainsFunc(want, func(name string) bool { return got[name] < wanted[name] })
	})
	for name, n := range count(w.runs()) {
		if n > wanted[name] && !w.written[name] {
			w.Fatalf("runs %q, want %q", w.runs(), want)
		}
	}
}

func (w *watching) exists(name string) bool { _, err := os.Stat(w.path(name)); return err == nil }

func (w *watching) touch(name string) {
	w.Helper()
	if err := os.WriteFile(w.path(name), nil, 0o600); err != nil {
		w.Fatal(err)
	}
}

func TestWatchRunsForCommits(t *testing.T) {
	w := newWatching(t, "a", "b", "c")
	w.start(watchLog, "--each", "--jobs", "2", "--state", "state")
	w.untilRuns("a", "b", "c")
	w.commit("b")
	w.untilRuns("a", "b", "b", "c")
	w.sqlite("new", "CREATE TABLE t(x);")
	w.untilRuns("a", "b", "b", "c", "new")
	w.signal(syscall.SIGTERM)
	w.mustEnd(0)
	w.ended, w.output = make(chan struct{}), nil
	w.start(watchLog, "--each", "--state", "state")
	w.commit("c")
	w.untilRuns("a", "b", "b", "c", "c", "new")
	w.signal(syscall.SIGHUP)
	w.untilRuns("a", "a", "b", "b", "b", "c", "c", "c", "new", "new")
}

// What is committed while CMD runs may not be in its copy.
func TestWatchCommitWhileRunning(t *testing.T) {
	w := newWatching(t, "a")
	w.start(watchLog+"until test -e go; do sleep 0.02; done", "--each")
	w.untilRuns("a")
	w.commit("a")
	w.touch("go")
	w.untilRuns("a", "a")
}

func TestWatchTermWaits(t *testing.T) {
	w := newWatching(t, "a", "b")
	w.start(watchLog+"until test -e go; do sleep 0.02; done; echo >done", "--each", "--grace", "1m")
	w.until("CMD runs", func() bool { return len(w.runs()) > 0 })
	first := w.runs()
	w.signal(syscall.SIGTERM)
	time.Sleep(endDelay + time.Second) // CMD must not see a TERM, however late it comes
	w.touch("go")
	w.mustEnd(0)
	if !w.exists("done") || !slices.Equal(w.runs(), first) {
		t.Errorf("CMD has not finished, or another was started: %q", w.runs())
	}
}

// A CMD that does not exit is killed with everything that it has started, and its databases still
// count as changed.
func TestWatchTermKills(t *testing.T) {
	w := newWatching(t, "a")
	w.start(`trap '' TERM; (echo $$ >pid; while :; do sleep 0.02; echo >>alive; done) & wait`,
		"--each", "--state", "state", "--grace", "1s")
	w.until("CMD runs", func() bool { return w.exists("alive") })
	begin := time.Now()
	w.signal(syscall.SIGTERM)
	w.mustEnd(exitSignal + int(syscall.SIGTERM))
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("the end took %v", took)
	}
	pid, _ := os.ReadFile(w.path("pid"))
	w.until("the process group is gone", func() bool {
		return exec.Command("kill", "-0", "--", "-"+strings.TrimSpace(string(pid))).Run() != nil
	})
	if state, err := os.ReadFile(w.path("state")); err == nil && bytes.Contains(state, []byte(`"done":{"`)) {
		t.Errorf("the state says that it is done: %s", state)
	}
}

func TestWatchTimeout(t *testing.T) {
	w := newWatching(t, "a")
	w.start("test -e log && exec sleep 1000; "+watchLog+"exec sleep 1000", "--each", "--json", "--timeout", "100ms")
	w.until("CMD was stopped and tried again", func() bool {
		return strings.Count(strings.Join(w.said(), "\n"), `"timed_out":true`) > 1
	})
}

// As PID 1 of a container, watch is the parent of what CMD leaves: zombies do not count as running.
func TestWatchAsPID1(t *testing.T) {
	testkit.NeedsRoot(t)
	w := newWatching(t, "a")
	w.under = []string{"unshare", "--pid", "--fork", "--kill-child"}
	w.start("echo >>log; (trap '' TERM; until test -e go; do sleep 0.02; done) & wait", "--each", "--timeout", "100ms",
		"--grace", "1h")
	w.until("CMD runs", func() bool { return w.exists("log") })
	time.Sleep(time.Second) // CMD has had its TERM, and only what it has started is left
	w.touch("go")
	w.until("CMD was tried again", func() bool { log, _ := os.ReadFile(w.path("log")); return len(log) > 1 })
}

// As PID 1 of a container, watch waits for what CMD leaves, even in a session of its own, and still
// learns how CMD itself has exited. What the CMD before has left may have exited a moment ago.
func TestWatchWaitsForOrphans(t *testing.T) {
	testkit.NeedsRoot(t)
	w := newWatching(t, "a")
	w.under = []string{"unshare", "--pid", "--fork", "--kill-child", "--mount-proc"}
	w.start("grep -l ') Z 1 ' /proc/[0-9]*/stat | wc -l >>zombies; setsid sleep 0.1 & exit 7", "--each", "--json")
	w.until("CMD has failed four times", func() bool {
		return strings.Count(strings.Join(w.said(), "\n"), `"status":7`) >= 4
	})
	zombies, err := os.ReadFile(w.path("zombies"))
	if err != nil || strings.Trim(string(zombies), "01\n") != "" {
		t.Errorf("%v, zombies: %s", err, zombies)
	}
}

// Exit statuses 2 and 3 will not change by themselves, so each is reported once.
func TestWatchRepeatedFailures(t *testing.T) {
	w := newWatching(t, "a")
	w.start(watchLog+`test $(wc -l <log) -lt 4 && exit 3; test $(wc -l <log) -lt 7 && exit 1; exit 0`, "--each",
		"--json")
	w.until("CMD succeeds", func() bool { return strings.Contains(strings.Join(w.said(), "\n"), `"status":0`) })
	var statuses []int
	for _, line := range w.said() {
		var event struct{ Status int }
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		statuses = append(statuses, event.Status)
	}
	if want := []int{3, 1, 1, 1, 0}; !slices.Equal(statuses, want) {
		t.Errorf("reported %v, want %v", statuses, want)
	}
}
