//go:build unix

package stream

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A channel is a way for bytes to go to a reader.
type channel struct {
	name string
	open func(t *testing.T, ctx context.Context, timeout time.Duration) (*Sink, *os.File)
	ends bool // the reader sees the end when the sink is closed
}

// channels are all kinds of outputs that have a reader.
func channels() []channel {
	stdout := func(pair func(*testing.T) (r, w *os.File)) func(*testing.T, context.Context, time.Duration) (*Sink,
		*os.File) {
		return func(t *testing.T, ctx context.Context, timeout time.Duration) (*Sink, *os.File) {
			r, w := pair(t)
			return openStdoutSink(t, ctx, w, timeout), r
		}
	}
	return []channel{
		{"fifo", openTestFIFO, true},
		{"pipe", stdout(pipe), false},
		{"shared pipe", openShared, false},
		{"socket", stdout(func(t *testing.T) (r, w *os.File) { return socketPair(t, false) }), false},
		{"non-blocking socket", stdout(func(t *testing.T) (r, w *os.File) { return socketPair(t, true) }), false},
	}
}

func openStdoutSink(t *testing.T, ctx context.Context, stdout *os.File, timeout time.Duration) *Sink {
	t.Helper()
	s, err := OpenSink(ctx, "-", SinkOptions{Timeout: timeout, Stdout: stdout})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// openTestFIFO opens a named pipe.
func openTestFIFO(t *testing.T, ctx context.Context, timeout time.Duration) (*Sink, *os.File) {
	path := mkfifo(t)
	r, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	s, err := OpenSink(ctx, path, SinkOptions{Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	return s, r
}

// openShared opens a pipe as if it could not be opened again.
func openShared(t *testing.T, ctx context.Context, timeout time.Duration) (*Sink, *os.File) {
	r, w := pipe(t)
	fd, err := descriptor(w)
	if err != nil {
		t.Fatal(err)
	}
	return &Sink{target: Stdout, out: newSharedOutlet(ctx, w, fd, timeout)}, r
}

func mkfifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// pipe makes a pipe with a blocking write end, as a shell does.
func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe(fds[:]); err != nil {
		t.Fatal(err)
	}
	return ends(t, fds)
}

func socketPair(t *testing.T, nonBlocking bool) (r, w *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	r, w = ends(t, fds)
	if nonBlocking { // after the file was made, so that the runtime does not know
		if err := unix.SetNonblock(fds[1], true); err != nil {
			t.Fatal(err)
		}
	}
	return r, w
}

func ends(t *testing.T, fds [2]int) (r, w *os.File) {
	if err := unix.SetNonblock(fds[0], true); err != nil {
		t.Fatal(err)
	}
	r, w = os.NewFile(uintptr(fds[0]), "read end"), os.NewFile(uintptr(fds[1]), "write end")
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}
