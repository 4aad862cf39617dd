//go:build unix

package stream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// soon is far longer than anything takes here, unless it hangs.
const soon = 20 * time.Second

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

// TestSinkReaderLeaves: once the reader is gone, a write fails, and so do later ones.
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

// TestSinkSlowReader: a reader that reads 64 KiB within the timeout has not stalled, even if more
// takes longer.
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

// TestSinkBecomesNonBlocking: another process may change the mode during a write.
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
