//go:build unix

package stream

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const errNotDirectory = syscall.ENOTDIR

// openStdout returns the best way to write to an inherited descriptor.
func openStdout(ctx context.Context, f *os.File, timeout time.Duration) (outlet, error) {
	fd, err := descriptor(f)
	if err != nil {
		return nil, err
	}
	if own := reopenPipe(f, fd); own != nil {
		return newPipeOutlet(ctx, own, timeout), nil
	}
	return newSharedOutlet(ctx, f, fd, timeout), nil
}

// isPlaceholder reports whether f stands in for a descriptor that was closed when the program
// began: the Go runtime opens the null device for reading and writing there, which no shell does.
func isPlaceholder(f *os.File, fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_ACCMODE != unix.O_RDWR {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err == nil && os.SameFile(info, null)
}

// writeSome writes at least one byte of p or fails. The descriptor may have been made non-blocking
// by another process at any time, and need not be one that the runtime can poll.
func writeSome(ctx context.Context, _ *os.File, fd int, p []byte) (int, error) {
	for {
		n, err := unix.Write(fd, p)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			if err := waitWritable(ctx, fd); err != nil {
				return 0, err
			}
		case err != nil:
			return 0, err
		default:
			return n, nil
		}
	}
}

func waitWritable(ctx context.Context, fd int) error {
	const pollInterval = 50 // milliseconds
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, pollInterval)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil && err != unix.EINTR {
			return err
		}
		if n > 0 {
			return nil
		}
	}
}

// writeError adds the name of the file to an error of write(2).
func writeError(name string, err error) error {
	var errno syscall.Errno
	switch {
	case !errors.As(err, &errno):
		return err
	case errno == syscall.EPIPE:
		return fmt.Errorf("%w: %w", ErrBrokenPipe, &fs.PathError{Op: "write", Path: name, Err: errno})
	default:
		return &fs.PathError{Op: "write", Path: name, Err: errno}
	}
}

// A pipeOutlet writes to a pipe through an open file description of its own, which can be
// non-blocking.
type pipeOutlet struct {
	ctx     context.Context
	file    *os.File
	timeout time.Duration
	unwatch func() bool
	widened bool // as far as it can be
	wide    bool
}

func newPipeOutlet(ctx context.Context, f *os.File, timeout time.Duration) *pipeOutlet {
	o := &pipeOutlet{ctx: ctx, file: f, timeout: timeout}
	o.unwatch = context.AfterFunc(ctx, func() { f.SetWriteDeadline(time.Unix(1, 0)) })
	return o
}

func openFIFO(ctx context.Context, name string, timeout time.Duration) (*pipeOutlet, error) {
	f, err := awaitReader(ctx, name, timeout)
	if err != nil {
		return nil, err
	}
	if !isPipe(f) {
		f.Close()
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	return newPipeOutlet(ctx, f, timeout), nil
}

// reopenPipe opens the pipe behind f again, so that the mode of f itself, which is shared, does not
// change. It returns nil if that is not possible: if f is no pipe or another user's, or the system
// has no /proc.
func reopenPipe(f *os.File, fd int) *os.File {
	if !isPipe(f) {
		return nil
	}
	name := fmt.Sprintf("/proc/self/fd/%d", fd)
	again, err := unix.Open(name, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	own := os.NewFile(uintptr(again), f.Name()) // messages name f
	if !sameFile(f, own) {
		own.Close()
		return nil
	}
	return own
}

func isPipe(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&fs.ModeNamedPipe != 0
}

func sameFile(f, g *os.File) bool {
	a, errA := f.Stat()
	b, errB := g.Stat()
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// awaitReader opens a named pipe once it has a reader: until then the system answers ENXIO.
func awaitReader(ctx context.Context, name string, timeout time.Duration) (*os.File, error) {
	const pollInterval = 10 * time.Millisecond
	for begin := time.Now(); ; {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		f, err := os.OpenFile(name, os.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		if err == nil || !errors.Is(err, syscall.ENXIO) {
			return f, err
		}
		if timeout > 0 && time.Since(begin) >= timeout {
			return nil, fmt.Errorf("%w: %s has had no reader for %v", ErrStalled, name, timeout)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pollInterval):
		}
	}
}

func (o *pipeOutlet) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		piece := p
		if o.timeout > 0 {
			piece = p[:min(len(p), timeoutChunk)]
			o.file.SetWriteDeadline(time.Now().Add(o.timeout))
		}
		// The watch may have set its deadline just before ours.
		if err := context.Cause(o.ctx); err != nil {
			return n, err
		}
		var m int
		m, err = o.file.Write(piece)
		n, p = n+m, p[m:]
		if m > 0 && errors.Is(err, os.ErrDeadlineExceeded) && o.ctx.Err() == nil {
			err = nil
		}
	}
	return n, o.explain(err)
}

func (o *pipeOutlet) explain(err error) error {
	switch {
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return writeError(o.file.Name(), err)
	case o.ctx.Err() != nil:
		return context.Cause(o.ctx)
	default:
		return stalled(o.timeout)
	}
}

func (o *pipeOutlet) commit() error { return context.Cause(o.ctx) }

func (o *pipeOutlet) close() error {
	o.unwatch()
	return o.file.Close()
}
