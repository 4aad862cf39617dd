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

// Ctrl-Z while a command waits for a database, or copies it, suspends it only when the database is
// free.
func TestSuspendedWhenTheSourceIsFree(t *testing.T) {
	for _, command := range []string{"backup --busy-timeout 1m a.db b.db", "pipe --busy-timeout 1m a.db -- cat"} {
		dir := t.TempDir()
		writer, err := testkit.StartShell(exec.Command("sqlite3", filepath.Join(dir, "a.db")))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(writer.Close)
		if _, err := writer.Run("create table t(x);", "begin exclusive;"); err != nil {
			t.Fatal(err)
		}
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
		await(t, "the database is open", func() bool { return hasOpen(cmd.Process.Pid, "a.db") })
		cmd.Process.Signal(syscall.SIGTSTP)
		time.Sleep(300 * time.Millisecond)
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		if err != nil || strings.Contains(string(stat), ") T ") {
			t.Errorf("%s: suspended while it holds the database: %v", command, err)
		}
		if _, err := writer.Run("commit;"); err != nil {
			t.Fatal(err)
		}
		var status unix.WaitStatus
		if _, err := unix.Wait4(cmd.Process.Pid, &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
			t.Errorf("%s: wait status %x, %v", command, int(status), err)
		}
		cmd.Process.Signal(syscall.SIGCONT)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", command, err)
		}
	}
}
