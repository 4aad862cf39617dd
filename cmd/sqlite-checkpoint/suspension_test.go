//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// slowCheck makes a table whose check takes many seconds. Its generated column gets its slow
// expression when the rows are there.
const slowCheck = "create table g(a, b text as (a) not null); " +
	"insert into g(a) select value from generate_series(1, 100000); pragma writable_schema=on; " +
	"update sqlite_schema set sql=replace(sql, '(a) not', '(length(hex(zeroblob(400000)))) not') where name='g';"

// Ctrl-Z while a command waits for a database, or copies it, suspends it as soon as the database is
// free. The check of the copy keeps nobody waiting, and may take long.
func TestSuspendedWhenTheSourceIsFree(t *testing.T) {
	for _, command := range []string{"backup --busy-timeout 1m a.db b.db", "pipe --busy-timeout 1m a.db -- cat"} {
		for _, schema := range []string{"create table t(x);", slowCheck} {
			suspendedCopy(t, command, schema)
		}
	}
}

// suspendedCopy suspends a command that waits for a database, which is then free.
func suspendedCopy(t *testing.T, command, schema string) {
	t.Helper()
	dir := t.TempDir()
	writer := startWriter(t, dir, schema)
	cmd := startInGroup(t, dir, command)
	await(t, "the database is open", func() bool { return hasOpen(cmd.Process.Pid, "a.db") })
	mustNotSuspend(t, cmd)
	if _, err := writer.Run("commit;"); err != nil {
		t.Fatal(err)
	}
	begin, slow := time.Now(), schema == slowCheck
	var status unix.WaitStatus
	if _, err := unix.Wait4(cmd.Process.Pid, &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Errorf("%s: wait status %x, %v", command, int(status), err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("%s: suspended %v after the database was free", command, took)
	}
	if slow {
		cmd.Process.Signal(syscall.SIGTERM)
	}
	cmd.Process.Signal(syscall.SIGCONT)
	if err := cmd.Wait(); (err != nil) != slow {
		t.Errorf("%s: %v", command, err)
	}
}

// TestSuspendedAfterCheckpoint: Ctrl-Z does not suspend a checkpoint.
func TestSuspendedAfterCheckpoint(t *testing.T) {
	dir := t.TempDir()
	writer := startWriter(t, dir, "pragma journal_mode=wal; create table t(x);")
	cmd := startInGroup(t, dir, "checkpoint --mode truncate --busy-timeout 1m a.db")
	await(t, "SQLite has the database open", func() bool {
		maps, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", cmd.Process.Pid))
		return strings.Contains(string(maps), "a.db-shm")
	})
	mustNotSuspend(t, cmd)
	if _, err := writer.Run("commit;"); err != nil {
		t.Fatal(err)
	}
	// The signal, which is due now, may or may not come before the end.
	await(t, "it has ended", func() bool {
		cmd.Process.Signal(syscall.SIGCONT)
		return stateOf(t, cmd) == "Z"
	})
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// startWriter starts an application that has a.db locked.
func startWriter(t *testing.T, dir, schema string) *testkit.Shell {
	t.Helper()
	writer, err := testkit.StartShell(exec.Command("sqlite3", filepath.Join(dir, "a.db")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(writer.Close)
	if _, err := writer.Run(schema, "begin exclusive;"); err != nil {
		t.Fatal(err)
	}
	return writer
}

// mustNotSuspend sends the signal of Ctrl-Z to a command that holds a database.
func mustNotSuspend(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	cmd.Process.Signal(syscall.SIGTSTP)
	time.Sleep(300 * time.Millisecond)
	if state := stateOf(t, cmd); state == "T" {
		t.Errorf("%s: suspended while it holds the database", cmd)
	}
}

// stateOf returns the letter for the state of a process, see proc_pid_stat(5).
func stateOf(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return after[:1]
}

// startInGroup starts a command, in a process group of its own, that SIGTSTP can suspend.
func startInGroup(t *testing.T, dir, command string) *exec.Cmd {
	t.Helper()
	binary := filepath.Join(dir, program)
	if err := os.Symlink(testBinary(t), binary); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"--default-signal=TSTP", binary, "-q"}, strings.Fields(command)...)
	cmd := exec.Command("env", args...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // see setpgid(2): an orphaned group is not suspended
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return cmd
}
