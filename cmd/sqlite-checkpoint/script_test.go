package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
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

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/guard"
	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/view"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

func TestMain(m *testing.M) {
	testscript.Main(testkit.LeakChecked(m), map[string]func(){
		program: main, guard.Name: main, view.ProbeName: main, threadRole: playThread})
}

// TestScripts runs testdata/script: what users see of the program, one file for each subject. A
// tool that is missing fails the script that needs it.
func TestScripts(t *testing.T) {
	for _, name := range []string{"sqlite3", "zstd", "script"} {
		testkit.Tool(t, name)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		WorkdirRoot:         t.TempDir(), // it goes even if only some of the scripts are run
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":   exits,
			"json":    jsonValue,
			"keys":    jsonKeys,
			"empty":   emptyDir,
			"hold":    hold,
			"release": release,
			"last":    lastLine,
			"signal":  signalled,
			"cutoff":  cutOff,
		},
		Condition: func(name string) (bool, error) {
			if name != "rootless" { // and nobody minds
				return false, fmt.Errorf("no condition %s", name)
			}
			return os.Geteuid() != 0 && testkit.Laptop(), nil
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", os.Getenv("GORACE"))
			env.Values[holdersKey] = &holders{}
			return nil
		},
	})
}

// exits CODE COMMAND...: the command ends with this status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// json FILE PATH VALUE: the last line of FILE (or stdout, stderr) has this value, in JSON, at the
// dotted path.
func jsonValue(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: json FILE PATH VALUE")
	}
	value := json.RawMessage(last(ts, args[0]))
	for _, key := range strings.Split(args[1], ".") {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(value, &object); err != nil {
			ts.Fatalf("%s: %v", value, err)
		}
		value = object[key]
	}
	if same := string(value) == args[2]; same == neg {
		ts.Fatalf("%s is %s", args[1], value)
	}
}

// keys FILE PATH KEY...: the object at PATH ("." is the whole) begins with these keys, in this
// order, and whatever took time says so.
func jsonKeys(ts *testscript.TestScript, neg bool, args []string) {
	value := []byte(last(ts, args[0]))
	if args[1] != "." {
		var object map[string]json.RawMessage
		ts.Check(json.Unmarshal(value, &object))
		value = object[args[1]]
	}
	got, want := objectKeys(value), args[2:]
	if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
		ts.Fatalf("keys are %q, want first %q", got, want)
	}
	if bytes.Contains(value, []byte(`"elapsed_ms":0.00`)) {
		ts.Fatalf("it took no time: %s", value)
	}
}

// objectKeys returns the keys of a JSON object in their order.
func objectKeys(object []byte) (keys []string) {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil
	}
	for decoder.More() {
		key, _ := decoder.Token()
		keys = append(keys, key.(string))
		var value json.RawMessage
		decoder.Decode(&value)
	}
	return keys
}

// last FILE TEXT: the last line of FILE contains TEXT.
func lastLine(ts *testscript.TestScript, neg bool, args []string) {
	if got := last(ts, args[0]); strings.Contains(got, args[1]) == neg {
		ts.Fatalf("last line is %q", got)
	}
}

func last(ts *testscript.TestScript, file string) string {
	lines := strings.Split(strings.TrimSuffix(ts.ReadFile(file), "\n"), "\n")
	return lines[len(lines)-1]
}

// empty DIR...: each directory is empty.
func emptyDir(ts *testscript.TestScript, neg bool, args []string) {
	for _, dir := range args {
		entries, err := os.ReadDir(ts.MkAbs(dir))
		ts.Check(err)
		if len(entries) > 0 {
			ts.Fatalf("%s has %v", dir, entries)
		}
	}
}

const holdersKey = "holders"

// holders are the sqlite3 shells that a script has open.
type holders struct{ shells []*shell }

type shell struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

// hold DB SQL: another process opens DB, runs SQL and stays.
func hold(ts *testscript.TestScript, neg bool, args []string) {
	cmd := exec.Command("sqlite3", ts.MkAbs(args[0]))
	stdin, err := cmd.StdinPipe()
	ts.Check(err)
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	s := &shell{cmd, stdin}
	ts.Defer(s.close)
	all := ts.Value(holdersKey).(*holders)
	all.shells = append(all.shells, s)
	io.WriteString(stdin, args[1]+"\n.print ready\n")
	for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
		if scanner.Text() == "ready" {
			return
		}
	}
	ts.Fatalf("sqlite3 did not get ready")
}

// release: all of them exit.
func release(ts *testscript.TestScript, neg bool, args []string) {
	all := ts.Value(holdersKey).(*holders)
	for _, s := range all.shells {
		s.close()
	}
	all.shells = nil
}

func (s *shell) close() {
	s.stdin.Close()
	s.cmd.Wait()
}

// signal NUMBER SIGN COMMAND...: the command gets the signal once it is running, and ends with
// status 128 + NUMBER, although what it waits for never comes. It counts as running when it has a
// file open whose name contains SIGN or, if that is "-", has begun to read its stdin, where little
// arrives.
func signalled(ts *testscript.TestScript, neg bool, args []string) {
	number, err := strconv.Atoi(args[0])
	ts.Check(err)
	cmd := exec.Command(lookPath(ts, args[2]), args[3:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "PATH="+ts.Getenv("PATH"), "TMPDIR="+ts.Getenv("TMPDIR"))
	in, out, err := os.Pipe()
	ts.Check(err)
	defer in.Close()
	defer out.Close()
	cmd.Stdin = in
	io.WriteString(out, "SQLite")
	ts.Check(cmd.Start())
	awaitSign(ts, cmd.Process.Pid, args[1], in)
	ts.Check(cmd.Process.Signal(syscall.Signal(number)))
	late := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer late.Stop()
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 128+number {
		ts.Fatalf("exit status %d, want %d", code, 128+number)
	}
}

// cutoff REPORT COMMAND...: the command is killed once its REPORT says that it has begun.
func cutOff(ts *testscript.TestScript, neg bool, args []string) {
	cmd := exec.Command(lookPath(ts, args[1]), args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "TMPDIR="+ts.Getenv("TMPDIR"))
	ts.Check(cmd.Start())
	defer cmd.Wait()
	defer cmd.Process.Kill()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if report, _ := os.ReadFile(ts.MkAbs(args[0])); strings.Contains(string(report), `"kind":"unfinished"`) {
			return
		}
	}
	ts.Fatalf("%s does not say that the run is unfinished", args[0])
}

func lookPath(ts *testscript.TestScript, name string) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if path := filepath.Join(dir, name); isFile(path) {
			return path
		}
	}
	ts.Fatalf("%s is not in PATH", name)
	return ""
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func awaitSign(ts *testscript.TestScript, pid int, sign string, stdin *os.File) {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if sign == "-" {
			if left, err := unix.IoctlGetInt(descriptor(stdin), unix.TIOCINQ); err == nil && left == 0 {
				return
			}
			continue
		}
		if hasOpen(pid, sign) {
			return
		}
	}
	ts.Fatalf("the command does not get to work")
}

// hasOpen reports whether a process has a file open whose name contains this.
func hasOpen(pid int, name string) bool {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.Contains(target, name) {
			return true
		}
	}
	return false
}
