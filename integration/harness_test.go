package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is what a test waits where the program is promised to take a second: the machine may be busy.
const patience = 10 * time.Second

// A bench is where a test runs the program: a directory to work in, and a temp directory in which nothing may be left
// when the test ends. Every user may use both.
type bench struct {
	testing.TB
	dir, temp string
	wrap      []string // the command that runs the program, if something must
	binary    string
}

func newBench(t testing.TB) *bench {
	t.Helper()
	root, err := os.MkdirTemp("", "sqlite-checkpoint-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	b := &bench{TB: t, dir: filepath.Join(root, "work"), temp: filepath.Join(root, "temp"), binary: binary}
	for dir, mode := range map[string]os.FileMode{root: 0o755, b.dir: 0o755, b.temp: 0o777} {
		b.check(os.MkdirAll(dir, mode))
		b.check(os.Chmod(dir, mode)) // whatever the umask says
	}
	t.Cleanup(b.tidy)
	return b
}

// tidy fails the test if the program left something in the temp directory.
func (b *bench) tidy() {
	b.Helper()
	if left := names(b, b.temp); len(left) > 0 {
		b.Errorf("left in the temp directory: %q", left)
	}
}

func (b *bench) check(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bench) read(name string) []byte {
	b.Helper()
	data, err := os.ReadFile(b.path(name))
	b.check(err)
	return data
}

func (b *bench) write(name string, data []byte) {
	b.Helper()
	b.check(os.WriteFile(b.path(name), data, 0o644))
}

// command is the program, in the bench's directory.
func (b *bench) command(args ...string) *exec.Cmd {
	return b.other(slices.Concat(b.wrap, []string{b.binary}, args)...)
}

// other is another program there. What make builds comes first in its PATH.
func (b *bench) other(argv ...string) *exec.Cmd {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(),
		"PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"), "TMPDIR="+b.temp, "SQLITE_TMPDIR=",
		"RESTIC_PASSWORD=test", "RESTIC_REPOSITORY="+b.path("repository"), "RESTIC_CACHE_DIR="+b.path("cache"))
	return cmd
}

// An outcome is what a command did.
type outcome struct {
	testing.TB
	command        string
	code           int // as a shell tells it: 128 + the signal that ended it
	stdout, stderr string
	took           time.Duration
}

// run runs the program.
func (b *bench) run(args ...string) outcome {
	b.Helper()
	return b.finish(b.command(args...))
}

// bash runs a script, in which a failure anywhere is one.
func (b *bench) bash(script string) outcome {
	b.Helper()
	return b.finish(b.other("bash", "-euo", "pipefail", "-c", script))
}

func (b *bench) finish(cmd *exec.Cmd) outcome {
	b.Helper()
	o := outcome{TB: b.TB, command: strings.Join(cmd.Args, " ")}
	var stdout, stderr bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &stdout
	}
	cmd.Stderr = &stderr
	start := time.Now()
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		b.Fatalf("%s: %v", o.command, err)
	}
	o.took = time.Since(start)
	o.code, o.stdout, o.stderr = status(cmd.ProcessState), stdout.String(), stderr.String()
	if slices.Contains(cmd.Args, b.binary) {
		o.checkLines()
	}
	return o
}

func status(state *os.ProcessState) int {
	if wait := state.Sys().(syscall.WaitStatus); wait.Signaled() {
		return 128 + int(wait.Signal())
	}
	return state.ExitCode()
}

// checkLines holds the program to what restic, which reads its child's stderr line by line, can bear.
func (o outcome) checkLines() {
	o.Helper()
	for line := range strings.Lines(o.stderr) {
		if len(line) > 48<<10 || line[0] != '{' && len(line) > 1<<10 || strings.ContainsAny(line, "\r\x1b") || !strings.HasSuffix(line, "\n") {
			o.Errorf("%s: a line on stderr that is no short line: %q", o.command, line)
		}
	}
}

// exits fails the test if it ended otherwise.
func (o outcome) exits(code int) outcome {
	o.Helper()
	if o.code != code {
		o.Fatalf("%s: exit status %d, want %d\n%s%s", o.command, o.code, code, o.stdout, o.stderr)
	}
	return o
}

// says fails the test if stderr has none of these words.
func (o outcome) says(words ...string) outcome {
	o.Helper()
	for _, word := range words {
		if !strings.Contains(o.stderr, word) {
			o.Errorf("%s: no %q on stderr:\n%s", o.command, word, o.stderr)
		}
	}
	return o
}

// silent fails the test if anything came out.
func (o outcome) silent() outcome {
	o.Helper()
	if o.stdout != "" {
		o.Errorf("%s: %d bytes on stdout, want none", o.command, len(o.stdout))
	}
	return o
}

// soon fails the test if what should be done in a second took long even for a busy machine.
func (o outcome) soon() outcome {
	o.Helper()
	if o.took > patience {
		o.Errorf("%s: took %v", o.command, o.took)
	}
	return o
}

// An answer is a JSON object, or a list in one.
type answer map[string]any

// json is the last line of stdout, or of stderr if stdout is the stream or empty.
func (o outcome) json() answer {
	o.Helper()
	text := o.stdout
	if !strings.HasPrefix(text, "{") {
		text = o.stderr
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	var a answer
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &a); err != nil {
		o.Fatalf("%s: no JSON: %v\n%s", o.command, err, text)
	}
	return a
}

func (a answer) at(key string) answer { return answer(a[key].(map[string]any)) }

// mustBe fails the test if the object has other values under these keys.
func (a answer) mustBe(t testing.TB, want answer) {
	t.Helper()
	for key, value := range want {
		if n, ok := value.(int); ok {
			value = float64(n)
		}
		if a[key] != value {
			t.Errorf("%q is %v, want %v", key, a[key], value)
		}
	}
}

// names are those of the entries of a directory.
func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func copyFile(t testing.TB, from, to string, mode os.FileMode) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err == nil {
		_, err = io.Copy(out, in)
		err = errors.Join(err, out.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until something is so, looking often.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
