package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestFactsExpand(t *testing.T) {
	f := streamFacts{size: 8448, imageSize: 8192, sha256: "abc"}
	got := f.expand([]string{"x", "{size}", "a{size}b{size}", "{image_size}:{sha256}", "{SIZE} {", "{{size}}"})
	want := []string{"x", "8448", "a8448b8448", "8192:abc", "{SIZE} {", "{8448}"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestFactsEnvironment(t *testing.T) {
	f := streamFacts{imageSize: 8192, sha256: "abc"}
	if got := strings.Join(f.environment(), " "); got != "SQLITE_CHECKPOINT_IMAGE_SIZE=8192 SQLITE_CHECKPOINT_SHA256=abc" {
		t.Errorf("size not known: %s", got)
	}
	f.size = 8448
	if got := f.environment(); !slices.Contains(got, "SQLITE_CHECKPOINT_SIZE=8448") || !isFact(got[2]) || isFact("PATH=/bin") {
		t.Errorf("%q", got)
	}
}

// A name can have in it what separates the fields of /proc/PID/stat.
func TestDescendants(t *testing.T) {
	odd := filepath.Join(t.TempDir(), ") S 1 (")
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(sleep, odd); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `"$0" 600 & echo $!; wait`, odd)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var child int
	fmt.Fscan(out, &child)
	family := descendants(cmd.Process.Pid)
	if !slices.Equal(family, []int{child}) {
		t.Errorf("%v, want %d", family, child)
	}
	if parent, alive := parentOf(child); !alive || parent != cmd.Process.Pid {
		t.Errorf("parent %d, %v", parent, alive)
	}
	unix.Kill(child, unix.SIGKILL)
	cmd.Wait()
	if _, alive := parentOf(cmd.Process.Pid); alive {
		t.Error("alive after its end")
	}
}

// A pipeRun is the program, sending to a CMD that is given as a shell script. What that script writes to fd 9 comes
// out of lines.
type pipeRun struct {
	*testing.T
	dir   string
	cmd   *exec.Cmd
	lines *bytes.Buffer
	told  *os.File
	ended chan struct{}
}

// startPipe returns once CMD has written "ready" to fd 9.
func startPipe(t *testing.T, flags []string, script string) *pipeRun {
	t.Helper()
	dir := t.TempDir()
	db := filepath.Join(dir, "a.db")
	if out, err := exec.Command("sqlite3", db, "create table t(x); insert into t select randomblob(1000) from generate_series(1,3000)").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Mkdir(filepath.Join(dir, "tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	told, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r := &pipeRun{T: t, dir: dir, lines: &bytes.Buffer{}, told: told, ended: make(chan struct{})}
	// A shell opens fd 9, which the program and its guard then pass on, like every descriptor that they do not know.
	r.cmd = exec.Command("sh", append([]string{"-c", `exec 9>&3 3>&-; exec "$0" "$@"`, os.Args[0]}, slices.Concat([]string{"pipe"}, flags, []string{db, "--", "sh", "-c", script})...)...)
	r.cmd.Args[3] = filepath.Join(dir, program)
	if err := os.Symlink(testBinary(t), r.cmd.Args[3]); err != nil {
		t.Fatal(err)
	}
	r.cmd.Dir = dir
	r.cmd.ExtraFiles = []*os.File{theirs}
	r.cmd.Env = append(os.Environ(), "TMPDIR="+filepath.Join(dir, "tmp"))
	r.cmd.Stderr = r.lines
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	go func() { r.cmd.Wait(); close(r.ended) }()
	t.Cleanup(func() { r.cmd.Process.Kill(); <-r.ended; told.Close() })
	ready := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(told, ready); err != nil {
		t.Fatalf("CMD is not ready: %v", err)
	}
	return r
}

func testBinary(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// finish waits until the program and everything that has fd 9 is gone, and returns what else was written there.
func (r *pipeRun) finish(code int) string {
	r.Helper()
	r.told.SetReadDeadline(time.Now().Add(time.Minute))
	rest, err := io.ReadAll(r.told)
	if err != nil {
		r.Errorf("something has survived: %v", err)
		r.killSurvivors()
	}
	<-r.ended
	state := r.cmd.ProcessState.Sys().(syscall.WaitStatus)
	got := state.ExitStatus()
	if state.Signaled() {
		got = exitSignal + int(state.Signal())
	}
	if got != code {
		r.Errorf("exit status %d, want %d: %s", got, code, r.lines)
	}
	if left, _ := os.ReadDir(filepath.Join(r.dir, "tmp")); len(left) > 0 {
		r.Errorf("left in the temp directory: %v", left)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "final")); err == nil {
		r.Error("the end was taken for a true one")
	}
	return string(rest)
}

// killSurvivors ends whatever still works in the directory of the run: it would keep the test waiting.
func (r *pipeRun) killSurvivors() {
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		if dir, _ := os.Readlink(link); dir == r.dir {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(link)))
			unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// What CMD does in these: it reads a little, says so, and then waits, so that everything happens in the middle of the stream.
const (
	half   = `head -c 1000 >part; echo ready >&9; `
	rest   = `cat >>part && mv part final; `
	slowly = `while [ "$(head -c 1000 | tee -a part | wc -c)" != 0 ]; do sleep 0.1; done; mv part final; `
	never  = `sleep 600 & wait; `
)

func TestPipeTerminated(t *testing.T) {
	for name, c := range map[string]struct {
		flags        []string
		script, want string
	}{
		"CMD is asked":        {nil, `trap 'echo asked >&9; exit 1' TERM; ` + half + never + rest, "asked\n"},
		"CMD does not listen": {[]string{"--grace", "200ms"}, `trap 'echo asked >&9' TERM; ` + half + never + `while :; do sleep 600 & wait; done`, "asked\n"},
		"CMD ignores it":      {[]string{"--grace", "200ms"}, `trap '' TERM; ` + half + never + rest, ""},
		"no grace":            {[]string{"--grace", "0s"}, half + never + rest, ""},
		"CMD is stopped":      {[]string{"--grace", "200ms"}, half + `kill -STOP $$; ` + slowly, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := startPipe(t, c.flags, c.script)
			r.cmd.Process.Signal(syscall.SIGTERM)
			if said := r.finish(143); said != c.want {
				t.Errorf("CMD said %q, want %q", said, c.want)
			}
			if !strings.Contains(r.lines.String(), "interrupted by SIGTERM") {
				t.Errorf("stderr: %s", r.lines)
			}
		})
	}
}

// In a pipeline, the end of one program is an end of input for the next one: they must not see each other die.
func TestPipeTerminatedPipeline(t *testing.T) {
	for name, script := range map[string]string{
		"ignores TERM":  half + `cat | (trap '' TERM; ` + slowly + `)`,
		"another group": half + `export slowly; cat | setsid sh -c "$slowly"`,
		"CMD dies":      half + `mkfifo f; (trap '' HUP; ` + slowly + `) <f & exec cat >f`,
	} {
		for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
			t.Run(fmt.Sprintf("%s/%v", name, s), func(t *testing.T) {
				t.Setenv("slowly", slowly)
				r := startPipe(t, nil, script)
				r.cmd.Process.Signal(s)
				r.finish(exitSignal + int(s))
			})
		}
	}
}

// When a session leader dies, the kernel continues the stopped processes of groups that become orphaned, and those
// that ignore HUP go on: they must be dead by then, or they see the end of the pipe that the leader wrote to.
func TestPipeKilledSession(t *testing.T) {
	const readers = `mkfifo f; for i in $(seq 200); do (while read -r x; do :; done; : >final) <f & done; `
	r := startPipe(t, []string{"--grace", "0s"},
		`export s='set -m; trap "" HUP; `+readers+`exec 8>f; head -c 1000 >&8; echo ready >&9; exec cat >&8'; setsid bash -c "$s"`)
	r.cmd.Process.Kill()
	r.finish(137)
}

func TestPipeGuardKilled(t *testing.T) {
	for name, script := range map[string]string{
		"waits":         half + never + rest,
		"reads":         half + slowly,
		"children":      half + `exec 8<&0; (` + slowly + `) <&8 & wait`,
		"another group": half + `exec 8<&0; setsid sh -c "$slowly" <&8 & wait`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("slowly", slowly)
			r := startPipe(t, nil, script)
			for _, pid := range children(r.cmd.Process.Pid) {
				unix.Kill(pid, unix.SIGKILL)
			}
			r.finish(exitOther)
			if !strings.Contains(r.lines.String(), "the guard of sh was killed") {
				t.Errorf("stderr: %s", r.lines)
			}
		})
	}
}

func TestPipeKilled(t *testing.T) {
	r := startPipe(t, []string{"--grace", "100ms"}, `trap '' TERM; `+half+`while :; do sleep 600 & wait; done`)
	r.cmd.Process.Kill()
	r.finish(137)
}

// CMD that would ask at the terminal is stopped by it. It would stay so.
func TestPipeTerminalWanted(t *testing.T) {
	dir := t.TempDir()
	db := filepath.Join(dir, "a.db")
	if err := os.Symlink(testBinary(t), filepath.Join(dir, program)); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf(`sqlite3 a.db 'create table t(x);' && TMPDIR=. ./%s --no-progress pipe %s -- sh -c 'read x </dev/tty'`, program, db)
	cmd := exec.Command("script", "-qec", script, "/dev/null")
	cmd.Dir = dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.CombinedOutput()
	if want := exitSignal + int(syscall.SIGTTIN); err == nil || cmd.ProcessState.ExitCode() != want {
		t.Errorf("exit status %d, want %d", cmd.ProcessState.ExitCode(), want)
	}
	if !strings.Contains(string(out), "error: sh wants to use the terminal") {
		t.Errorf("%s", out)
	}
}

// children are the direct ones.
func children(parent int) (pids []int) {
	for _, pid := range descendants(parent) {
		if p, _ := parentOf(pid); p == parent {
			pids = append(pids, pid)
		}
	}
	return pids
}
