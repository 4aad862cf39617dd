//go:build linux

package main

import (
	"fmt"
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

// programIn creates a directory with the program and a database, whose second hard link makes the
// program warn.
func programIn(t *testing.T) (dir, binary string) {
	t.Helper()
	dir = t.TempDir()
	binary = filepath.Join(dir, program)
	if err := os.Symlink(testBinary(t), binary); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-ec",
		`sqlite3 a.db 'create table t(x); insert into t values(zeroblob(3000000))'; ln a.db other.db`)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir, binary
}

// start starts cmd, which is killed at the end of the test.
func start(t *testing.T, cmd *exec.Cmd) (ended chan error) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended, over := make(chan error, 1), make(chan bool)
	go func() { defer close(over); ended <- cmd.Wait() }()
	t.Cleanup(func() { cmd.Process.Kill(); <-over })
	return ended
}

// endsWith waits for the end of a process that hangs and was sent a signal.
func endsWith(t *testing.T, ended chan error, code int) {
	t.Helper()
	select {
	case err := <-ended:
		if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != code {
			t.Errorf("it ended with %v, want %d", err, code)
		}
	case <-time.After(30 * time.Second):
		t.Error("it does not end")
	}
}

// A signal ends the program within seconds, even if it hangs: here in a write to a paused terminal.
// What it has created is removed nevertheless.
func TestSignalledWhileItHangs(t *testing.T) {
	t.Parallel()
	dir, binary := programIn(t)
	_, tty := openTerminal(t, 80)
	if err := unix.IoctlSetInt(descriptor(tty), unix.TCXONC, unix.TCOOFF); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "--no-progress", "--report", "report", "backup", "a.db", "b.db")
	cmd.Dir, cmd.Stderr = dir, tty
	ended := start(t, cmd)
	await(t, "it writes its warning", func() bool { return writes(cmd.Process.Pid, 2) })
	cmd.Process.Signal(syscall.SIGTERM)
	endsWith(t, ended, exitSignal+int(syscall.SIGTERM))
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 { // a.db, other.db, program, report
		t.Errorf("left behind: %v, %v", entries, err)
	}
	report, err := os.ReadFile(filepath.Join(dir, "report"))
	if err != nil || !strings.Contains(string(report), `"interrupted"`) {
		t.Errorf("report: %s, %v", report, err)
	}
}

// writes reports whether a thread of a process waits in write(2) to a descriptor.
func writes(pid, fd int) bool {
	calls, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
	for _, call := range calls {
		data, _ := os.ReadFile(call)
		if strings.HasPrefix(string(data), fmt.Sprintf("%d %#x ", unix.SYS_WRITE, fd)) {
			return true
		}
	}
	return false
}

// When the program ends without waiting for the guard of CMD, the guard still kills CMD before the
// pipe is closed.
func TestSignalledWhileTheGuardHangs(t *testing.T) {
	t.Parallel()
	dir, binary := programIn(t)
	cmd := exec.Command(binary, "pipe", "--grace", "100ms", "a.db", "--", "sh", "-c", `trap '' TERM
		head -c 1000 >part; echo $$ >new; mv new ready; sleep 600 & wait; cat >>part && mv part final`)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	ended := start(t, cmd)
	var ready []byte
	await(t, "CMD reads", func() bool {
		ready, _ = os.ReadFile(filepath.Join(dir, "ready"))
		return len(ready) > 0
	})
	guard := childOf(t, cmd.Process.Pid)
	unix.Kill(guard, unix.SIGSTOP)
	cmd.Process.Signal(syscall.SIGTERM)
	endsWith(t, ended, exitSignal+int(syscall.SIGTERM))
	unix.Kill(guard, unix.SIGCONT)
	pid := strings.TrimSpace(string(ready))
	await(t, "CMD is dead", func() bool { _, err := os.Stat("/proc/" + pid); return os.IsNotExist(err) })
	if _, err := os.Stat(filepath.Join(dir, "final")); err == nil {
		t.Error("CMD took a premature EOF for the end")
	}
}

// A signalled run has the time of --grace only while CMD runs.
func TestGraceWithoutCommand(t *testing.T) {
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) // pipe asks for the orphans of this process
	for _, args := range []string{"pipe none", "watch --once none", "watch --once " + smallDatabase(t)} {
		captured(t, func(con *console) {
			dispatch(t.Context(), con, append(strings.Fields(args), "--", "true"))
			if grace := con.endDelay.Load(); grace != 0 {
				t.Errorf("%s: %v", args, time.Duration(grace))
			}
		})
	}
}

// When the guard is killed, everything that CMD has started is killed, too, and nothing is left
// behind.
func TestGuardOfFromCommandKilled(t *testing.T) {
	dir, binary := programIn(t)
	cmd := exec.Command(binary, "verify", "--check", "full", "--tmpdir", ".", "--from-command", "--", "sh", "-c",
		`head -c 100 a.db; sleep 600 & echo $! >new; mv new ready; wait`)
	cmd.Dir = dir
	ended := start(t, cmd)
	var pid []byte
	await(t, "CMD writes", func() bool {
		pid, _ = os.ReadFile(filepath.Join(dir, "ready"))
		return len(pid) > 0
	})
	unix.Kill(childOf(t, cmd.Process.Pid), unix.SIGKILL)
	endsWith(t, ended, exitOther)
	if _, err := os.Stat("/proc/" + strings.TrimSpace(string(pid))); err == nil {
		t.Error("what CMD has started runs on")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 4 { // a.db, other.db, program, ready
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func childOf(t *testing.T, parent int) int {
	t.Helper()
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	for _, list := range lists {
		data, _ := os.ReadFile(list)
		if pid, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil {
			return pid
		}
	}
	t.Fatalf("process %d has no child", parent)
	return 0
}

// A SIGHUP that is ignored when the program starts, as under nohup, stays ignored.
func TestNohup(t *testing.T) {
	dir, binary := programIn(t)
	cmd := exec.Command("sh", "-c", `trap '' HUP; exec "$0" verify -q --unproven -`, binary)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	image, err := os.ReadFile(filepath.Join(dir, "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	ended := start(t, cmd)
	in.Write(image[:1<<20]) // more than a pipe holds: the program reads
	cmd.Process.Signal(syscall.SIGHUP)
	in.Write(image[1<<20:])
	in.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A warning that nobody reads does not kill the program, which would leave the copy behind.
func TestStderrWithoutReader(t *testing.T) {
	dir, binary := programIn(t)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	defer writer.Close()
	cmd := exec.Command(binary, "backup", "a.db", "b.db")
	cmd.Dir, cmd.Stderr = dir, writer
	if err := <-start(t, cmd); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 5 { // a.db, other.db, program, b.db, b.db.sha256
		t.Errorf("%v, %v", entries, err)
	}
}
