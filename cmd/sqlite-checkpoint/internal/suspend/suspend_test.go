//go:build linux

package suspend

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
)

const variable = "SUSPEND_TEST"

// TestMain lets the test binary be a process that is suspended.
func TestMain(m *testing.M) {
	if os.Getenv(variable) != "" {
		suspended()
		return
	}
	os.Exit(m.Run())
}

// suspended is sent SIGTSTP twice, and reports on stdout how far it has got.
func suspended() {
	d := Catch()
	for range 2 {
		first, second := d.Hold(), d.Hold()
		syscall.Kill(os.Getpid(), syscall.SIGTSTP)
		time.Sleep(200 * time.Millisecond) // it would be stopped here
		second()
		fmt.Println("held")
		first()
		d.Hold()() // waits for the suspension
		fmt.Println("continued")
	}
}

func TestDelay(t *testing.T) {
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command("env", "--default-signal=TSTP", os.Args[0])
	cmd.Env, cmd.Stdout = append(os.Environ(), variable+"=1"), out
	// In a group of its own, which has a parent in its session: SIGTSTP does not stop an orphaned
	// group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	for want := "held\n"; ; want += "continued\nheld\n" {
		status := wait(t, cmd.Process.Pid)
		data, err := os.ReadFile(out.Name())
		if err != nil {
			t.Fatal(err)
		}
		if status.Exited() && strings.Count(want, "held") == 3 && string(data)+"held\n" == want {
			return
		}
		if !status.Stopped() || status.StopSignal() != unix.SIGTSTP || string(data) != want {
			t.Fatalf("wait status %x, said %q, want %q", int(status), data, want)
		}
		cmd.Process.Signal(syscall.SIGCONT)
	}
}

// wait returns when the process has stopped or exited. The timeout of the tests bounds it.
func wait(t *testing.T, pid int) (status unix.WaitStatus) {
	t.Helper()
	for {
		if _, err := unix.Wait4(pid, &status, unix.WUNTRACED, nil); err == nil {
			return status
		} else if err != unix.EINTR {
			t.Fatal(err)
		}
	}
}
