package stream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
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

// An imageFile counts what is read of a file. The kernel gets another file, if there is one.
type imageFile struct {
	*os.File
	shown *os.File
	read  int
}

func (f *imageFile) ReadAt(p []byte, offset int64) (int, error) {
	n, err := f.File.ReadAt(p, offset)
	f.read += n
	return n, err
}

func (f *imageFile) SyscallConn() (syscall.RawConn, error) {
	if f.shown != nil {
		return f.shown.SyscallConn()
	}
	return f.File.SyscallConn()
}

// inFile writes data to a new file in dir, which it unlinks, and opens it with the flag.
func inFile(t *testing.T, dir string, data []byte, flag int) *os.File {
	t.Helper()
	name := filepath.Join(dir, "image")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, flag, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	return f
}

// sendImage writes the image in the file to the sink as a stream, hashed beforehand.
func sendImage(s *Sink, from io.ReaderAt, image []byte) error {
	w, err := NewWriter(s, WriterOptions{Size: int64(len(image)), Hash: func() (hash.Hash, error) {
		h := sha256.New()
		h.Write(image)
		return h, nil
	}})
	if err != nil {
		return err
	}
	n, err := io.Copy(w, io.NewSectionReader(from, 0, int64(len(image))))
	if closeErr := w.Close(); err == nil && n == int64(len(image)) {
		err = closeErr
	}
	return err
}

// collect reads what the sink sends until there are n bytes.
func collect(r *os.File, n int) <-chan []byte {
	got := make(chan []byte, 1)
	go func() {
		all := make([]byte, n)
		m, _ := io.ReadFull(r, all)
		got <- all[:m]
	}()
	return got
}

// TestMove: the kernel sends the file, and what it cannot send is read and written.
func TestMove(t *testing.T) {
	image := largeImage(t, wideFrom+1<<20, sparse)
	want, _ := encode(t, image, WriterOptions{})
	part := len(image)/2 + 1000
	for name, test := range map[string]struct {
		shown func(t *testing.T) *os.File
		read  int // bytes
	}{
		"whole": {func(t *testing.T) *os.File { return nil }, imageHeaderLen},
		"half": {func(t *testing.T) *os.File { return inFile(t, t.TempDir(), image[:part], os.O_RDONLY) },
			imageHeaderLen + len(image) - part},
		"no splice": {func(t *testing.T) *os.File { return inFile(t, t.TempDir(), image, os.O_WRONLY) },
			imageHeaderLen + len(image)},
		"closed": {func(t *testing.T) *os.File {
			f := inFile(t, t.TempDir(), image, os.O_RDONLY)
			f.Close()
			return f
		}, imageHeaderLen + len(image)},
	} {
		for _, timeout := range []time.Duration{0, soon} {
			if testing.Short() && timeout == 0 {
				continue
			}
			for _, c := range channels() {
				t.Run(name+"/"+c.name+"/"+timeout.String(), func(t *testing.T) {
					file := &imageFile{File: inFile(t, t.TempDir(), image, os.O_RDONLY), shown: test.shown(t)}
					s, r := c.open(t, t.Context(), timeout)
					defer s.Close()
					got := collect(r, len(want))
					if err := errors.Join(sendImage(s, file, image), s.Commit()); err != nil {
						t.Fatal(err)
					}
					select {
					case arrived := <-got:
						if !bytes.Equal(arrived, want) {
							t.Error("other bytes arrived")
						}
					case <-time.After(5 * time.Second): // after all was sent
						t.Fatal("fewer bytes arrived")
					}
					if file.read != test.read {
						t.Errorf("%d bytes were read, want %d", file.read, test.read)
					}
				})
			}
		}
	}
}

// TestMoveReader: a reader that leaves or stalls, and a canceled context, have the same effect as
// on Write.
func TestMoveReader(t *testing.T) {
	image := largeImage(t, wideFrom, sparse)
	for _, c := range channels() {
		for name, test := range map[string]struct {
			timeout time.Duration
			act     func(r *os.File, cancel func(error))
			want    error
		}{
			"leaves": {0, func(r *os.File, _ func(error)) { r.Read(make([]byte, 1000)); r.Close() }, ErrBrokenPipe},
			"stalls": {100 * time.Millisecond, func(r *os.File, _ func(error)) { r.Read(make([]byte, 1000)) },
				ErrStalled},
			"cancel": {0, func(r *os.File, cancel func(error)) { r.Read(make([]byte, 1000)); cancel(errFailed) },
				errFailed},
		} {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				s, r := c.open(t, ctx, test.timeout)
				defer s.Close()
				defer time.AfterFunc(20*time.Second, func() { r.Close() }).Stop() // if it never gives up
				go test.act(r, cancel)
				file := &imageFile{File: inFile(t, t.TempDir(), image, os.O_RDONLY)}
				if err := sendImage(s, file, image); !errors.Is(err, test.want) || s.Commit() == nil {
					t.Errorf("%v, want %v; Commit = %v", err, test.want, s.Commit())
				}
				if file.read > imageHeaderLen && test.want != ErrBrokenPipe {
					t.Errorf("%d bytes were read", file.read)
				}
				file.Close()
				r.Close() // lets go of what still writes
			})
		}
	}
}

// TestMovedPagesStay: a pipe keeps what was moved there, even after the file is gone.
func TestMovedPagesStay(t *testing.T) {
	image := smallImage(t)
	for _, dir := range []string{t.TempDir(), "/dev/shm"} {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			continue
		}
		own, err := os.MkdirTemp(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(own)
		s, r := openTestFIFO(t, t.Context(), 0)
		file := &imageFile{File: inFile(t, own, image, os.O_RDWR)}
		if err := errors.Join(sendImage(s, file, image), s.Commit(), s.Close(), file.Close()); err != nil {
			t.Fatal(err)
		}
		inFile(t, own, make([]byte, 8<<20), os.O_RDONLY) // may get its pages
		want, _ := encode(t, image, WriterOptions{})
		if got, err := io.ReadAll(r); !bytes.Equal(got, want) || err != nil || file.read > imageHeaderLen {
			t.Errorf("%s: %d other bytes arrived, %v; %d were read", dir, len(got), err, file.read)
		}
	}
}

// TestWidePipe: a pipe is enlarged only for a large image.
func TestWidePipe(t *testing.T) {
	for size, want := range map[int]int{wideFrom: widePipe, wideFrom / 2: 64 << 10} {
		image := largeImage(t, size, zeros)
		r, w := pipe(t)
		s, err := OpenSink(t.Context(), "-", SinkOptions{Stdout: w})
		if err != nil {
			t.Fatal(err)
		}
		got := collect(r, len(image)+TrailerSize)
		if err := sendImage(s, inFile(t, t.TempDir(), image, os.O_RDONLY), image); err != nil {
			t.Error(err)
		}
		<-got
		fd, _ := descriptor(w)
		if held, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0); held != want || err != nil {
			t.Errorf("after %d bytes the pipe holds %d, %v, want %d", size, held, err, want)
		}
		s.Close()
	}
}

// TestMoveChecksHeader: an image whose end no reader could find is refused before its first byte is
// sent.
func TestMoveChecksHeader(t *testing.T) {
	image := append(largeImage(t, 1<<20, zeros), make([]byte, 4096)...)
	s, r := openTestFIFO(t, t.Context(), 0)
	err := sendImage(s, inFile(t, t.TempDir(), image, os.O_RDONLY), image)
	s.Close()
	if got, _ := io.ReadAll(r); !errors.Is(err, ErrImageSize) || len(got) > 0 {
		t.Errorf("%v after %d bytes", err, len(got))
	}
}

// TestMoveCountsProgress: Progress is called for each piece, and at the end.
func TestMoveCountsProgress(t *testing.T) {
	image := largeImage(t, 1<<20, zeros)
	s, r := openTestFIFO(t, t.Context(), 0)
	defer s.Close()
	var last int64
	w, err := NewWriter(s, WriterOptions{Size: int64(len(image)), Progress: func(done int64) {
		if done <= last {
			t.Errorf("%d after %d", done, last)
		}
		last = done
	}, Hash: func() (hash.Hash, error) { return sha256.New(), nil }})
	if err != nil {
		t.Fatal(err)
	}
	got := collect(r, len(image)+TrailerSize)
	file := inFile(t, t.TempDir(), image, os.O_RDONLY)
	if _, err := io.Copy(w, io.NewSectionReader(file, 0, int64(len(image)))); err != nil {
		t.Error(err)
	}
	w.Close()
	<-got
	if last != int64(len(image)) {
		t.Errorf("the last is %d of %d", last, len(image))
	}
}

// TestMoveSlowReader: a reader that takes some of a large piece in time has not stalled.
func TestMoveSlowReader(t *testing.T) {
	const timeout, piece = 3 * time.Second, 64 << 10
	image := largeImage(t, 1<<20, zeros)
	for _, c := range channels() {
		if !strings.Contains(c.name, "socket") { // the kernel sends to it until all is sent
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, r := c.open(t, t.Context(), timeout)
			defer s.Close()
			var reader sync.WaitGroup
			defer reader.Wait()
			reader.Go(func() {
				buf := make([]byte, piece)
				for total := 0; total < len(image); total += piece {
					time.Sleep(timeout / 8)
					if _, err := io.ReadFull(r, buf); err != nil {
						return
					}
				}
			})
			if err := sendImage(s, inFile(t, t.TempDir(), image, os.O_RDONLY), image); err != nil {
				t.Errorf("sent: %v", err)
				r.Close()
			}
		})
	}
}
