//go:build linux

package guard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A run is a running caller. What CMD writes to descriptor 9 can be read from said.
type run struct {
	*testing.T
	dir   string
	cmd   *exec.Cmd
	lines bytes.Buffer // stderr
	said  *os.File
	ended chan struct{}
}

// start starts the caller in a directory of its own.
func start(t *testing.T, c call) *run {
	t.Helper()
	if c.Input == 0 {
		c.Input = input
	}
	order, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	said, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r := &run{T: t, dir: t.TempDir(), said: said, ended: make(chan struct{})}
	// A shell opens descriptor 9, which all others pass on, like every descriptor that they do not
	// know.
	r.cmd = exec.Command("sh", "-c", `exec 9>&3 3>&-; exec "$0"`, binary)
	r.cmd.Dir, r.cmd.Stderr, r.cmd.ExtraFiles = r.dir, &r.lines, []*os.File{theirs}
	r.cmd.Env = append(os.Environ(), callerVariable+"="+string(order))
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	go func() { r.cmd.Wait(); close(r.ended) }()
	t.Cleanup(func() { r.cmd.Process.Kill(); <-r.ended; said.Close() })
	return r
}

// startReady is start, and waits until CMD has written "ready".
func startReady(t *testing.T, c call) *run {
	t.Helper()
	r := start(t, c)
	r.said.SetReadDeadline(time.Now().Add(time.Minute))
	ready := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(r.said, ready); err != nil {
		t.Fatalf("CMD is not ready: %v: %s", err, &r.lines)
	}
	return r
}

// finish waits until the caller and everything that has descriptor 9 is gone, and returns what was
// written there.
func (r *run) finish(status int) string {
	r.Helper()
	r.said.SetReadDeadline(time.Now().Add(time.Minute))
	rest, err := io.ReadAll(r.said)
	if err != nil {
		r.Errorf("something has survived: %v", err)
		r.killSurvivors()
	}
	<-r.ended
	state := r.cmd.ProcessState.Sys().(syscall.WaitStatus)
	got := state.ExitStatus()
	if state.Signaled() {
		got = 128 + int(state.Signal())
	}
	if got != status {
		r.Errorf("exit status %d, want %d: %s", got, status, &r.lines)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "final")); err == nil {
		r.Error("a premature EOF was taken for the end")
	}
	return string(rest)
}

// killSurvivors kills processes whose working directory is still that of the run: they would keep
// the test waiting.
func (r *run) killSurvivors() {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		if dir, _ := os.Readlink(link); dir == r.dir {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(link)))
			unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// In these tests CMD reads a little, says so, and then waits: everything happens in the middle of
// the stream.
const (
	half   = `head -c 1000 >part; echo ready >&9; `
	rest   = `cat >>part && mv part final; `
	slowly = `while [ "$(head -c 1000 | tee -a part | wc -c)" != 0 ]; do sleep 0.1; done; mv part final; `
	never  = `sleep 600 & wait; `

	endless = `while :; do sleep 600 & wait; done`

	input = 3 << 20 // more than a pipe holds
)

func TestTerminated(t *testing.T) {
	const brief = 200 * time.Millisecond
	for name, c := range map[string]struct {
		call
		want string
	}{
		"CMD is asked": {call{Grace: time.Minute,
			Script: `trap 'echo asked >&9; exit 1' TERM; ` + half + never + rest}, "asked\n"},
		"CMD does not listen": {call{Grace: brief, Script: `trap 'echo asked >&9' TERM; ` + half + endless}, "asked\n"},
		"CMD ignores it":      {call{Grace: brief, Script: `trap '' TERM; ` + half + never + rest}, ""},
		"no grace":            {call{Script: half + never + rest}, ""},
		"CMD is stopped":      {call{Grace: brief, Script: half + `kill -STOP $$; ` + slowly}, ""},
		"CMD kills a part of itself": {call{Grace: brief, Script: `exec 8<&0; mkfifo f; (` + slowly + `) <f &
			head -c 1000 >part; cat <&8 >f & cat=$!
			trap 'kill $cat; sleep 600 & wait' TERM; echo ready >&9; wait`}, ""},
		"CMD has all its input": {call{Grace: time.Minute, Input: 1000,
			Script: `trap 'echo asked >&9; exit 0' TERM; ` + half + never + `mv part final`}, "asked\n"},
		"stdin is a file": {call{Grace: brief, NoPipe: true,
			Script: `trap 'echo asked >&9; exit' TERM; setsid sleep 600 & echo ready >&9; wait; : >final`}, "asked\n"},
	} {
		t.Run(name, func(t *testing.T) {
			r := startReady(t, c.call)
			r.cmd.Process.Signal(syscall.SIGTERM)
			if said := r.finish(statusTerminated); said != c.want {
				t.Errorf("CMD said %q, want %q", said, c.want)
			}
		})
	}
}

// In a pipeline, the exit of one program is EOF for the next: they must not see each other die.
func TestPipelineTerminated(t *testing.T) {
	for name, script := range map[string]string{
		"ignores TERM":  half + `cat | (trap '' TERM; ` + slowly + `)`,
		"another group": half + `export slowly; cat | setsid sh -c "$slowly"`,
		"CMD dies":      half + `mkfifo f; (trap '' HUP; ` + slowly + `) <f & exec cat >f`,
	} {
		for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
			t.Run(fmt.Sprintf("%s/%v", name, s), func(t *testing.T) {
				t.Setenv("slowly", slowly)
				r := startReady(t, call{Grace: 5 * time.Second, Script: script})
				r.cmd.Process.Signal(s)
				r.finish(128 + int(s))
			})
		}
	}
}

// When a session leader dies, the kernel continues the stopped processes of groups that become
// orphaned, and those that ignore HUP go on: they must be dead by then, or they see the end of the
// pipe that the leader wrote to.
func TestSessionKilled(t *testing.T) {
	const readers = `mkfifo f; for i in $(seq 200); do (while read -r x; do :; done; : >final) <f & done; `
	script := `export s='set -m; trap "" HUP; ` + readers +
		`exec 8>f; head -c 1000 >&8; echo ready >&9; exec cat >&8'; setsid bash -c "$s"`
	for range 6 {
		r := startReady(t, call{Script: script})
		r.cmd.Process.Kill()
		r.finish(statusKilled)
	}
}

func TestCallerKilled(t *testing.T) {
	const grace = 100 * time.Millisecond
	for name, c := range map[string]call{
		"pipe": {Grace: grace, Script: `trap '' TERM; ` + half + endless},
		"stdin is a file": {Grace: grace, NoPipe: true,
			Script: `setsid sleep 600 & echo ready >&9; sleep 600; : >final`},
	} {
		t.Run(name, func(t *testing.T) {
			r := startReady(t, c)
			r.cmd.Process.Kill()
			r.finish(statusKilled)
		})
	}
}

func TestGuardKilled(t *testing.T) {
	for name, c := range map[string]call{
		"waits":           {Script: half + never + rest},
		"reads":           {Script: half + slowly},
		"children":        {Script: half + `exec 8<&0; (` + slowly + `) <&8 & wait`},
		"another group":   {Script: half + `exec 8<&0; setsid sh -c "$slowly" <&8 & wait`},
		"stdin is a file": {NoPipe: true, Script: `setsid sh -c 'sleep 600' & echo ready >&9; wait; : >final`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("slowly", slowly)
			r := startReady(t, c)
			for _, pid := range children(r.cmd.Process.Pid) {
				unix.Kill(pid, unix.SIGKILL)
			}
			r.finish(statusGuardKilled)
		})
	}
}

// TestCallerKilledByName: pkill -9 -f sqlite-checkpoint leaves the guard, which does its work. The
// reader is in a session of its own, where no signal of the kernel reaches it.
func TestCallerKilledByName(t *testing.T) {
	t.Setenv("slowly", slowly)
	r := startReady(t, call{Script: half + `exec 8<&0; setsid sh -c "$slowly" <&8 & exec <&- 8<&-; wait`})
	caller := r.cmd.Process.Pid
	for _, pid := range append(children(caller), caller) {
		argv, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			t.Fatal(err)
		}
		if pid == caller || strings.Contains(string(argv), "sqlite-checkpoint") {
			unix.Kill(pid, unix.SIGKILL)
		}
	}
	r.finish(statusKilled)
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	const brief, patient = 300 * time.Millisecond, 2 * time.Second
	for name, c := range map[string]struct {
		call
		status int
		stderr string
	}{
		"success":            {call{Script: `cat >/dev/null`}, 0, ""},
		"success, orphans":   {call{NoPipe: true, Script: `setsid sleep 600 &`}, 0, ""},
		"failure":            {call{Script: `exit 3`}, 3, "sh exited with status 3"},
		"failure at the end": {call{Script: `cat >/dev/null; exit 3`}, 3, "sh exited with status 3"},
		"killed":             {call{Script: `kill -9 $$`}, 137, "sh was killed by SIGKILL"},
		"ended early":        {call{Script: `exit 0`}, statusEndedEarly, "sh exited with status 0 before reading"},
		"ended early, short": {call{Input: 1000, Script: `sleep 0.2`}, statusEndedEarly, "before reading"},
		"stdin closed":       {call{Script: `exec <&-; sleep 0.2; exit 3`}, 3, "sh exited with status 3"},
		"not found":          {call{Argv: []string{"/no/such"}}, statusNotStarted, "start /no/such: no such file"},
		"not executable":     {call{Argv: []string{"/etc/passwd"}}, statusNotStarted, "/etc/passwd: permission denied"},
		"stalled":            {call{Timeout: brief, Script: `sleep 600`}, statusStalled, "write to sh: no progress"},
		"stalled, EPIPE":     {call{Timeout: brief, Script: `exec <&-; sleep 600`}, statusStalled, "no progress"},
		"stalled at the end": {call{Input: 1000, Timeout: brief, Script: `sleep 600`}, statusStalled, "no progress"},
		"slow at the end":    {call{Input: 1000, Timeout: time.Second, Script: `cat >/dev/null; sleep 2`}, 0, ""},
		"slow": {call{Input: 65537, Timeout: patient,
			Script: `for i in 1 2 3 4 5 6; do head -c 1000 >part; sleep 0.5; done; cat >part`}, 0, ""},
		"slow, and the pipe full": {call{Input: 200_000, Timeout: patient,
			Script: `for i in 1 2 3 4 5 6 7 8 9; do head -c 4096 >part; sleep 0.3; done; cat >part`}, 0, ""},
		"setup refuses":      {call{Setup: []byte("no"), Script: `: >final`}, statusRefused, `refused: "no"`},
		"setup without data": {call{Setup: []byte{}, Script: `: >final`}, statusRefused, `refused: ""`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, c.call)
			r.finish(c.status)
			if !strings.Contains(r.lines.String(), c.stderr) || (c.stderr == "") != (r.lines.Len() == 0) {
				t.Errorf("stderr: %s", &r.lines)
			}
		})
	}
}

// CMD inherits what the setup function changes on its thread, and no other process sees it.
func TestSetup(t *testing.T) {
	seen, hidden := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(seen, "inside"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := startReady(t, call{NoPipe: true, Setup: []byte(seen + ":" + hidden),
		Script: `echo ready >&9; ls ` + hidden + ` >&9`})
	if said := r.finish(0); said != "inside\n" {
		t.Errorf("CMD sees %q: %s", said, &r.lines)
	}
	if entries, err := os.ReadDir(hidden); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
}
