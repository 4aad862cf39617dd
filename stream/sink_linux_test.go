package stream

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// openPTY returns the two ends of a new pseudo-terminal.
func openPTY(t *testing.T) (control, terminal *os.File) {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { control.Close() })
	fd, err := descriptor(control)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return control, terminal
}

func TestTerminalIsRefused(t *testing.T) {
	_, terminal := openPTY(t)
	if _, err := ProbeTarget("-", terminal); !errors.Is(err, ErrTerminal) {
		t.Errorf("ProbeTarget = %v, want %v", err, ErrTerminal)
	}
	if _, err := OpenSink(t.Context(), "-", SinkOptions{Stdout: terminal}); !errors.Is(err, ErrTerminal) {
		t.Errorf("OpenSink = %v, want %v", err, ErrTerminal)
	}
}

func init() {
	helpers["probe"] = func([]string) error {
		_, err := ProbeTarget("-", nil)
		if errors.Is(err, ErrClosed) {
			return fmt.Errorf("CLOSED: %w", err)
		}
		return err
	}
}

// TestClosedStdout runs a process with the standard output that a shell gives it.
func TestClosedStdout(t *testing.T) {
	for redirection, closed := range map[string]bool{
		">&-": true, ">/dev/null": false, ">>/dev/null": false, "| cat": false, ">/dev/full": false,
	} {
		cmd := exec.Command("sh", "-c", `"$0" `+redirection, os.Args[0])
		cmd.Env = append(os.Environ(), helperKey+"=probe")
		out, _ := cmd.CombinedOutput()
		if strings.Contains(string(out), "CLOSED") != closed || !closed && len(out) > 0 {
			t.Errorf("%s: %q", redirection, out)
		}
	}
}

func TestFullDevice(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := openStdoutSink(t, t.Context(), f, 0)
	defer s.Close()
	if _, err := s.Write([]byte("stream")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Write = %v", err)
	}
	if err := s.Commit(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Commit = %v", err)
	}
}

// TestRedirectedStdout: a file that is standard output is durable when Commit returns.
func TestRedirectedStdout(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := openStdoutSink(t, t.Context(), f, 0)
	defer s.Close()
	_, err = s.Write(make([]byte, 1<<20))
	if err = errors.Join(err, s.Commit()); err != nil {
		t.Error(err)
	}
	if n := testkit.Unwritten(t, f, 0); n > 0 {
		t.Errorf("%d pages are only in memory", n)
	}
}

// TestFIFOVerySlowReader: of a named pipe, any page that is read within the timeout is progress.
func TestFIFOVerySlowReader(t *testing.T) {
	const timeout, page = 2 * time.Second, 4096
	s, r := openTestFIFO(t, t.Context(), timeout)
	defer s.Close()
	capacity, err := unix.FcntlInt(r.Fd(), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		t.Fatal(err)
	}
	var reader sync.WaitGroup
	defer reader.Wait()
	reader.Go(func() {
		for total := 0; total < 10*page; total += page { // then there is room for all of it
			time.Sleep(timeout / 7)
			io.ReadFull(r, make([]byte, page))
		}
	})
	if n, err := s.Write(make([]byte, capacity+10*page)); err != nil {
		t.Errorf("Write = %d, %v", n, err)
	}
}
