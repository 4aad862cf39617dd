package harness

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

// patience is how long a test waits for what should take a second: the machine may be busy.
const patience = 10 * time.Second

// Hang is how long a test waits before it gives up.
const Hang = 2 * time.Minute

// A Bench is where a test runs the program: a working directory and a temp directory, which every
// user may use.
type Bench struct {
	testing.TB
	Root, Dir, Temp string   // Dir and Temp are in Root
	Wrap            []string // a command that runs the program, such as strace; may be nil
	Program         string
}

// NewBench returns a Bench that fails the test if something is left in the temp directory at its
// end.
func NewBench(t testing.TB) *Bench {
	t.Helper()
	b := UntidyBench(t, Binary)
	t.Cleanup(b.Tidy)
	return b
}

// UntidyBench returns a Bench for a test that itself looks for what is left.
func UntidyBench(t testing.TB, program string) *Bench {
	t.Helper()
	root := PublicDir(t)
	b := &Bench{TB: t, Root: root, Dir: filepath.Join(root, "work"), Temp: filepath.Join(root, "temp"),
		Program: program}
	for dir, mode := range map[string]os.FileMode{b.Dir: 0o755, b.Temp: 0o777} {
		b.Check(os.Mkdir(dir, mode))
		b.Check(os.Chmod(dir, mode)) // whatever the umask says
	}
	return b
}

// PublicDir creates a directory that other users can enter, unlike that of t.TempDir.
func PublicDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sqlite-checkpoint-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Tidy fails the test if the program left something in the temp directory.
func (b *Bench) Tidy() {
	b.Helper()
	if left := Names(b, b.Temp); len(left) > 0 {
		b.Errorf("left in the temp directory: %q", left)
	}
}

func (b *Bench) Check(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// Path returns the path of a name in the directory. An absolute path stays as it is.
func (b *Bench) Path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(b.Dir, name)
}

func (b *Bench) Read(name string) []byte {
	b.Helper()
	data, err := os.ReadFile(b.Path(name))
	b.Check(err)
	return data
}

func (b *Bench) Write(name string, data []byte) {
	b.Helper()
	b.Check(os.WriteFile(b.Path(name), data, 0o644))
}

// Command returns a command that runs the program in the directory.
func (b *Bench) Command(args ...string) *exec.Cmd {
	return b.Other(slices.Concat(b.Wrap, []string{b.Program}, args)...)
}

// Other returns a command that runs another program there. What make builds comes first in its
// PATH.
func (b *Bench) Other(argv ...string) *exec.Cmd {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = b.Dir
	cmd.Env = append(os.Environ(),
		"PATH="+Path()+":"+os.Getenv("PATH"), "TMPDIR="+b.Temp, "SQLITE_TMPDIR=",
		"RESTIC_PASSWORD=test", "RESTIC_REPOSITORY="+b.Path("repository"), "RESTIC_CACHE_DIR="+b.Path("cache"))
	return cmd
}

// An Outcome is what a command did.
type Outcome struct {
	testing.TB
	Command        string
	Code           int // as a shell reports it: 128 + the signal that ended it
	Stdout, Stderr string
	Took           time.Duration
}

// Run runs the program.
func (b *Bench) Run(args ...string) Outcome {
	b.Helper()
	return b.Finish(b.Command(args...))
}

// Bash runs a script that ends at the first failure.
func (b *Bench) Bash(script string) Outcome {
	b.Helper()
	return b.Finish(b.Other("bash", "-euo", "pipefail", "-c", script))
}

func (b *Bench) Finish(cmd *exec.Cmd) Outcome {
	b.Helper()
	o := Outcome{TB: b.TB, Command: strings.Join(cmd.Args, " ")}
	var stdout, stderr bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &stdout
	}
	cmd.Stderr = &stderr
	start := time.Now()
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		b.Fatalf("%s: %v", o.Command, err)
	}
	o.Took = time.Since(start)
	o.Code, o.Stdout, o.Stderr = Status(cmd.ProcessState), stdout.String(), stderr.String()
	b.checkLines(cmd, o)
	return o
}

func Status(state *os.ProcessState) int {
	if wait := state.Sys().(syscall.WaitStatus); wait.Signaled() {
		return 128 + int(wait.Signal())
	}
	return state.ExitCode()
}

// checkLines fails the test if stderr has a line that restic, which reads its child's stderr line
// by line, would not print as it is.
func (b *Bench) checkLines(cmd *exec.Cmd, o Outcome) {
	b.Helper()
	if !slices.Contains(cmd.Args, b.Program) {
		return
	}
	for line := range strings.Lines(o.Stderr) {
		if len(line) > 48<<10 || line[0] != '{' && len(line) > 1<<10 || strings.ContainsAny(line, "\r\x1b") ||
			!strings.HasSuffix(line, "\n") {
			o.Errorf("%s: not a short line of plain text on stderr: %q", o.Command, line)
		}
	}
}

// Exits fails the test unless the command ended with this status.
func (o Outcome) Exits(code int) Outcome {
	o.Helper()
	if o.Code != code {
		o.Fatalf("%s: exit status %d, want %d\n%s%s", o.Command, o.Code, code, o.Stdout, o.Stderr)
	}
	return o
}

// Says fails the test unless stderr contains all of these words.
func (o Outcome) Says(words ...string) Outcome {
	o.Helper()
	for _, word := range words {
		if !strings.Contains(o.Stderr, word) {
			o.Errorf("%s: no %q on stderr:\n%s", o.Command, word, o.Stderr)
		}
	}
	return o
}

// Silent fails the test if there is anything on stdout.
func (o Outcome) Silent() Outcome {
	o.Helper()
	if o.Stdout != "" {
		o.Errorf("%s: %d bytes on stdout, want none", o.Command, len(o.Stdout))
	}
	return o
}

// Soon fails the test if the command, which should take a second, took long even for a busy
// machine.
func (o Outcome) Soon() Outcome {
	o.Helper()
	if o.Took > patience {
		o.Errorf("%s: took %v", o.Command, o.Took)
	}
	return o
}

// An Answer is a JSON object, or a list in one.
type Answer map[string]any

// JSON decodes the last line of stdout, or of stderr if stdout is the stream or empty.
func (o Outcome) JSON() Answer {
	o.Helper()
	text := o.Stdout
	if !strings.HasPrefix(text, "{") {
		text = o.Stderr
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	var a Answer
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &a); err != nil {
		o.Fatalf("%s: no JSON: %v\n%s", o.Command, err, text)
	}
	return a
}

func (a Answer) At(key string) Answer { return Answer(a[key].(map[string]any)) }

// MustBe fails the test unless the object has these values under these keys.
func (a Answer) MustBe(t testing.TB, want Answer) {
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

// Names returns the names in a directory.
func Names(t testing.TB, dir string) []string {
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

func CopyFile(t testing.TB, from, to string, mode os.FileMode) {
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

// Eventually polls until something is true.
func Eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Hang); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", Hang, what)
		}
	}
}
