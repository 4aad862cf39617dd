//go:build linux

package guard

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Orphans of CMD become children of the guard, which has to wait for them.
func TestOrphansAreReaped(t *testing.T) {
	r := startReady(t, call{Script: `for i in $(seq 50); do (: &); done; ` + half + never})
	guard := children(r.cmd.Process.Pid)
	for deadline := time.Now().Add(time.Minute); len(children(guard[0])) > 1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the guard has %d children", len(children(guard[0])))
		}
	}
	r.cmd.Process.Kill()
	r.finish(statusKilled)
}

// CMD has no controlling terminal that could stop it, or send it signals.
func TestSession(t *testing.T) {
	r := startReady(t, call{Input: 1, Script: `cat >/dev/null; echo ready >&9; cat /proc/$$/stat >&9`})
	fields := strings.Fields(r.finish(0))
	if len(fields) < 7 || fields[0] != fields[5] || fields[6] != "0" {
		t.Errorf("stat of CMD: %q", fields)
	}
}

// A name can contain the separators of the fields of /proc/PID/stat.
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
	var pid int
	fmt.Fscan(out, &pid)
	if got := descendants(cmd.Process.Pid); !slices.Equal(got, []procEntry{{pid, cmd.Process.Pid}}) {
		t.Errorf("%v, want %d", got, pid)
	}
	unix.Kill(pid, unix.SIGKILL)
	cmd.Wait()
	if _, alive := parentOf(cmd.Process.Pid); alive {
		t.Error("alive after its end")
	}
}

// A target is not signalled if its ID by now belongs to a child of another process.
func TestTargetOfAnotherParent(t *testing.T) {
	if target, ok := (procEntry{os.Getpid(), os.Getpid()}).open(); ok {
		target.close()
		t.Error("a process is not its own parent")
	}
	target, ok := (procEntry{os.Getpid(), os.Getppid()}).open()
	if !ok {
		t.Error("this process is not found")
	}
	target.close()
}

// children lists the direct children.
func children(parent int) (pids []int) {
	for _, c := range descendants(parent) {
		if c.parent == parent {
			pids = append(pids, c.pid)
		}
	}
	return pids
}
