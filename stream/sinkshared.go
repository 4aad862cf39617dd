package stream

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// timeoutChunk is the most that is written at once under a timeout: what counts as progress.
const timeoutChunk = 64 << 10

// A sharedOutlet writes to an inherited descriptor. Other processes share it, so its mode must not
// change, and a write to it can block for as long as its reader likes. Therefore every write has
// its own goroutine, and a buffer that the caller does not share: if the context is canceled or the
// reader stalls, they stay behind until write(2) returns.
type sharedOutlet struct {
	ctx     context.Context
	file    *os.File
	fd      int
	timeout time.Duration
	buf     []byte
	written int64
}

type written struct {
	n   int
	err error
}

func newSharedOutlet(ctx context.Context, f *os.File, fd int, timeout time.Duration) *sharedOutlet {
	return &sharedOutlet{ctx: ctx, file: f, fd: fd, timeout: timeout}
}

func (o *sharedOutlet) Write(p []byte) (n int, err error) {
	if o.buf == nil {
		o.buf = make([]byte, o.pieceSize())
	}
	for len(p) > 0 && err == nil {
		m := copy(o.buf, p)
		m, err = o.writePiece(o.buf[:m])
		n, p = n+m, p[m:]
	}
	o.written += int64(n)
	return n, err
}

func (o *sharedOutlet) pieceSize() int {
	if o.timeout > 0 {
		return timeoutChunk
	}
	return bufferSize
}

// writePiece writes p. If it fails, p must not be changed afterwards.
func (o *sharedOutlet) writePiece(p []byte) (int, error) {
	return o.await(func() (int, error) { return o.writeAll(p) })
}

// await runs write in a goroutine, which it leaves behind if the context ends or the reader stalls.
func (o *sharedOutlet) await(write func() (int, error)) (int, error) {
	if err := context.Cause(o.ctx); err != nil {
		return 0, err
	}
	done := make(chan written, 1)
	go func() {
		n, err := write()
		done <- written{n, err}
	}()
	var late <-chan time.Time
	if o.timeout > 0 {
		timer := time.NewTimer(o.timeout)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case w := <-done:
		return w.n, w.err
	case <-o.ctx.Done():
		return 0, context.Cause(o.ctx)
	case <-late:
		return 0, stalled(o.timeout)
	}
}

func (o *sharedOutlet) writeAll(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = writeSome(o.ctx, o.file, o.fd, p[n:])
		n += m
	}
	return n, writeError(o.file.Name(), err)
}

// commit makes a regular file durable, and fails if it is shorter than what was written.
func (o *sharedOutlet) commit() error {
	if err := context.Cause(o.ctx); err != nil {
		return err
	}
	info, err := o.file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	if info.Size() < o.written {
		return &fs.PathError{Op: "write", Path: o.file.Name(), Err: io.ErrShortWrite}
	}
	return o.file.Sync()
}

func (o *sharedOutlet) close() error { return nil }

func stalled(timeout time.Duration) error {
	return fmt.Errorf("%w: nothing was read for %v", ErrStalled, timeout)
}
