//go:build unix

package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// soon is far more than anything here takes that does not hang.
const soon = 20 * time.Second

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
			s, err := OpenSink(ctx, "-", SinkOptions{Timeout: timeout, Stdout: w})
			if err != nil {
				t.Fatal(err)
			}
			return s, r
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

// openShared opens a pipe as if it could not be opened anew.
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

func TestSinkCarriesAll(t *testing.T) {
	image := largeImage(t, 3<<20, sparse)
	for _, timeout := range []time.Duration{0, soon} {
		for _, c := range channels() {
			t.Run(c.name+"/"+timeout.String(), func(t *testing.T) {
				s, r := c.open(t, t.Context(), timeout)
				defer s.Close()
				got := make(chan []byte)
				go func() {
					all := make([]byte, len(image))
					n, _ := io.ReadFull(r, all)
					got <- all[:n]
				}()
				for rest := image; len(rest) > 0; {
					n, err := s.Write(rest[:min(700_000, len(rest))])
					if err != nil {
						t.Fatal(err)
					}
					rest = rest[n:]
				}
				if err := s.Commit(); err != nil {
					t.Errorf("Commit = %v", err)
				}
				if err := s.Close(); err != nil {
					t.Errorf("Close = %v", err)
				}
				if !bytes.Equal(<-got, image) {
					t.Error("other bytes arrived")
				}
				if !c.ends {
					return
				}
				if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
					t.Errorf("the reader sees %d, %v, not the end", n, err)
				}
			})
		}
	}
}

// TestSinkReaderLeaves: with the reader gone, what cannot be written is an error, and stays one.
func TestSinkReaderLeaves(t *testing.T) {
	for _, c := range channels() {
		t.Run(c.name, func(t *testing.T) {
			s, r := c.open(t, t.Context(), 0)
			defer s.Close()
			time.AfterFunc(20*time.Millisecond, func() { r.Close() })
			_, err := s.Write(make([]byte, 8<<20))
			if !errors.Is(err, ErrBrokenPipe) || !errors.Is(err, syscall.EPIPE) {
				t.Errorf("Write = %v, want %v", err, ErrBrokenPipe)
			}
			if _, again := s.Write([]byte("x")); again != err || s.Commit() != err {
				t.Errorf("%v, then %v and %v", err, again, s.Commit())
			}
		})
	}
}

func TestSinkReaderStalls(t *testing.T) {
	for _, c := range channels() {
		t.Run(c.name, func(t *testing.T) {
			s, r := c.open(t, t.Context(), 50*time.Millisecond)
			defer s.Close()
			begin := time.Now()
			n, err := s.Write(make([]byte, 8<<20))
			if !errors.Is(err, ErrStalled) || n == 8<<20 {
				t.Errorf("Write = %d, %v, want %v", n, err, ErrStalled)
			}
			if time.Since(begin) > soon {
				t.Errorf("it took %v", time.Since(begin))
			}
			if s.Commit() != err {
				t.Errorf("Commit = %v", s.Commit())
			}
			r.Close() // lets go of what still writes
		})
	}
}

// TestSinkSlowReader: a reader that takes 64 KiB now and then is no stalled one, though more takes
// it longer than the timeout.
func TestSinkSlowReader(t *testing.T) {
	const timeout = 3 * time.Second
	const piece, size = 64 << 10, 5 * 64 << 10
	for _, c := range channels() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, r := c.open(t, t.Context(), timeout)
			defer s.Close()
			pause := timeout * 2 / 5
			if strings.Contains(c.name, "socket") { // which has room again only when much of its buffer is free
				pause = timeout / 20
			}
			var reader sync.WaitGroup
			defer reader.Wait()
			reader.Go(func() {
				buf := make([]byte, piece)
				for total := 0; total < size; {
					time.Sleep(pause)
					n, err := io.ReadFull(r, buf)
					if total += n; err != nil {
						return
					}
				}
			})
			if _, err := s.Write(make([]byte, size)); err != nil {
				t.Errorf("Write = %v", err)
				r.Close()
			}
		})
	}
}

// TestSinkCancelled: the end of the context ends a write to a reader that stalls.
func TestSinkCancelled(t *testing.T) {
	for _, timeout := range []time.Duration{0, time.Hour} {
		for _, c := range channels() {
			t.Run(c.name+"/"+timeout.String(), func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				s, r := c.open(t, ctx, timeout)
				defer s.Close()
				var cancelled time.Time
				time.AfterFunc(20*time.Millisecond, func() { cancelled = time.Now(); cancel(errFailed) })
				_, err := s.Write(make([]byte, 8<<20))
				if err != errFailed || s.Commit() != errFailed {
					t.Errorf("Write = %v, Commit = %v", err, s.Commit())
				}
				if late := time.Since(cancelled); late > soon {
					t.Errorf("it returned %v after it was cancelled", late)
				}
				r.Close()
			})
		}
	}
}

// TestSinkLeavesMode: the description that others share stays blocking, and open.
func TestSinkLeavesMode(t *testing.T) {
	r, w := pipe(t)
	s, err := OpenSink(t.Context(), "-", SinkOptions{Stdout: w})
	if err != nil {
		t.Fatal(err)
	}
	s.Write([]byte("one "))
	fd, err := descriptor(w)
	if err != nil {
		t.Fatal(err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("flags are %#x, %v", flags, err)
	}
	if err := errors.Join(s.Commit(), s.Close()); err != nil {
		t.Error(err)
	}
	if _, err := w.Write([]byte("two")); err != nil {
		t.Errorf("standard output was closed: %v", err)
	}
	w.Close()
	if data, err := io.ReadAll(r); string(data) != "one two" || err != nil {
		t.Errorf("arrived: %q, %v", data, err)
	}
}

// TestSinkBecomesNonBlocking: another process may change the mode in the middle.
func TestSinkBecomesNonBlocking(t *testing.T) {
	image := largeImage(t, 2<<20, sparse)
	r, w := pipe(t)
	fd, err := descriptor(w)
	if err != nil {
		t.Fatal(err)
	}
	s := &Sink{target: Stdout, out: newSharedOutlet(t.Context(), w, fd, 0)}
	got := make(chan []byte)
	go func() {
		all := make([]byte, len(image))
		n, _ := io.ReadFull(r, all)
		got <- all[:n]
	}()
	if _, err := s.Write(image[:1000]); err != nil {
		t.Error(err)
	}
	unix.SetNonblock(fd, true)
	if _, err := s.Write(image[1000:]); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(<-got, image) {
		t.Error("other bytes arrived")
	}
}

func TestStdoutFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := OpenSink(t.Context(), "-", SinkOptions{Stdout: f, Timeout: soon})
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("stream "), 50_000)
	if _, err := s.Write(want); err != nil {
		t.Error(err)
	}
	if err := errors.Join(s.Commit(), s.Close()); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(path); !bytes.Equal(got, want) || err != nil {
		t.Errorf("%d bytes arrived, %v", len(got), err)
	}
}

// TestStdoutFileShrinks: what the system lost is noticed at the end.
func TestStdoutFileShrinks(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := OpenSink(t.Context(), "-", SinkOptions{Stdout: f})
	if err != nil {
		t.Fatal(err)
	}
	s.Write(make([]byte, 1000))
	if err := f.Truncate(999); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("Commit = %v", err)
	}
}

func TestFIFOWithoutReader(t *testing.T) {
	path := mkfifo(t)
	if kind, err := ProbeTarget(path, nil); kind != FIFO || err != nil {
		t.Errorf("ProbeTarget = %v, %v", kind, err)
	}
	if _, err := OpenSink(t.Context(), path, SinkOptions{Timeout: 50 * time.Millisecond}); !errors.Is(err, ErrStalled) {
		t.Errorf("OpenSink = %v, want %v", err, ErrStalled)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(errFailed) })
	if _, err := OpenSink(ctx, path, SinkOptions{}); err != errFailed {
		t.Errorf("OpenSink = %v, want %v", err, errFailed)
	}
}

func TestFIFOWaitsForReader(t *testing.T) {
	path := mkfifo(t)
	link := path + "-link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	got := make(chan string)
	go func() {
		time.Sleep(50 * time.Millisecond)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		got <- string(data)
	}()
	s, err := OpenSink(t.Context(), link, SinkOptions{Timeout: soon})
	if err != nil {
		t.Fatal(err)
	}
	s.Write([]byte("stream"))
	if err := errors.Join(s.Commit(), s.Close()); err != nil {
		t.Error(err)
	}
	if data := <-got; data != "stream" {
		t.Errorf("arrived: %q", data)
	}
}

// TestFIFOIsReplaced: what was a pipe when it was looked at and is a file now is not written to.
func TestFIFOIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openFIFO(t.Context(), path, 0); !errors.Is(err, os.ErrExist) {
		t.Errorf("openFIFO = %v", err)
	}
	if data, err := os.ReadFile(path); string(data) != "mine" || err != nil {
		t.Errorf("the file was touched: %q, %v", data, err)
	}
}
