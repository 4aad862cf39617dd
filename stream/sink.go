package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// What can be wrong with the destination of a stream.
var (
	// ErrTerminal means that standard output is a terminal.
	ErrTerminal = errors.New("standard output is a terminal")
	// ErrClosed means that standard output was closed before the program began, so that all output
	// would be lost: its place is then held by the null device, opened for reading and writing.
	ErrClosed = errors.New("standard output is closed, or the null device opened for reading and writing")
	// ErrStalled means that there was no progress for [SinkOptions.Timeout].
	ErrStalled = errors.New("no progress at the output")
	// ErrBrokenPipe means that the pipe no longer has a reader.
	ErrBrokenPipe = errors.New("the reader has exited or closed the pipe")
)

// A Target is a kind of place that a stream can go to.
type Target int

const (
	Stdout  Target = iota + 1 // "-"
	FIFO                      // a named pipe, or a symbolic link to a pipe, as /dev/fd/63 is
	NewFile                   // a name that does not exist yet
)

// ProbeTarget returns the kind of target, and fails early where [OpenSink] would fail: with
// [ErrTerminal] or [ErrClosed] for standard output, with [fs.ErrExist] for a name that exists and
// is not a pipe, with [fs.ErrNotExist] if the directory does not exist. It changes nothing. stdout
// is [os.Stdout] if nil.
func ProbeTarget(target string, stdout *os.File) (Target, error) {
	if target == "-" {
		return Stdout, probeStdout(orStdout(stdout))
	}
	if info, err := os.Stat(target); err == nil && info.Mode()&fs.ModeNamedPipe != 0 {
		return FIFO, nil
	}
	if err := atomicfile.CheckAbsent(target); err != nil {
		return 0, err
	}
	dir := filepath.Dir(target)
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "create", Path: target, Err: errNotDirectory}
	}
	return NewFile, err
}

func orStdout(f *os.File) *os.File {
	if f == nil {
		return os.Stdout
	}
	return f
}

func probeStdout(f *os.File) error {
	fd, err := descriptor(f)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrClosed, err)
	case term.IsTerminal(fd):
		return ErrTerminal
	case isPlaceholder(f, fd):
		return ErrClosed
	}
	return nil
}

// descriptor returns what f.Fd returns, but leaves the descriptor non-blocking.
func descriptor(f *os.File) (int, error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	number := -1
	err = conn.Control(func(fd uintptr) { number = int(fd) })
	return number, err
}

// SinkOptions say how a [Sink] works.
type SinkOptions struct {
	// Timeout is the longest time without progress of at least 64 KiB, and the longest wait for the
	// reader of a named pipe; 0 means no limit.
	Timeout time.Duration
	// Stdout is the file that "-" stands for; nil is [os.Stdout].
	Stdout *os.File
	// Place, if not nil, is the directory of a new file, already open: the file is created there,
	// wherever the path leads by now.
	Place *atomicfile.Place
}

// A Sink is the destination of a stream. A new file appears only when Commit is called. Errors are
// final: after one, every call returns it.
type Sink struct {
	target    Target
	out       outlet
	committed bool
	closed    bool
	err       error
}

// An outlet is what a Sink does for one kind of target.
type outlet interface {
	io.Writer
	commit() error
	close() error
}

// A mover is a place that can take bytes from a file without this process reading them.
type mover interface {
	// move sends some of the n bytes of file at offset. It waits and fails as Write does. It sends
	// nothing, and returns no error, if the kernel cannot do that or cannot read the file: the
	// caller has to read and write instead.
	move(file syscall.RawConn, offset, n int64) (moved int64, err error)
}

// OpenSink opens target: "-" for standard output, a named pipe, whose reader it waits for, or a new
// file. It fails as [ProbeTarget] does, and with [ErrStalled] if there is no reader in time.
//
// When ctx is canceled, Write returns its cause within a fraction of a second, even if the reader
// has stalled.
func OpenSink(ctx context.Context, target string, opts SinkOptions) (*Sink, error) {
	kind, err := ProbeTarget(target, opts.Stdout)
	if err != nil {
		return nil, err
	}
	out, err := openOutlet(ctx, kind, target, opts)
	if err != nil {
		return nil, err
	}
	return &Sink{target: kind, out: out}, nil
}

func openOutlet(ctx context.Context, kind Target, target string, opts SinkOptions) (outlet, error) {
	switch kind {
	case Stdout:
		return openStdout(ctx, orStdout(opts.Stdout), opts.Timeout)
	case FIFO:
		return openFIFO(ctx, target, opts.Timeout)
	default:
		return newFileOutlet(ctx, target, opts.Place)
	}
}

// Target returns the kind of the sink.
func (s *Sink) Target() Target { return s.target }

// Write writes all of p or fails: with [ErrBrokenPipe], with [ErrStalled], with the cause of the
// context, or with an error of the operating system.
func (s *Sink) Write(p []byte) (n int, err error) {
	if err := s.usable(); err != nil {
		return 0, err
	}
	n, s.err = s.out.Write(p)
	return n, s.err
}

func (s *Sink) move(file syscall.RawConn, offset, n int64) (moved int64, err error) {
	out, ok := s.out.(mover)
	if !ok {
		return 0, nil
	}
	if err := s.usable(); err != nil {
		return 0, err
	}
	moved, s.err = out.move(file, offset, n)
	return moved, s.err
}

// Commit ends a complete stream. It makes a new file durable and gives it its name, and syncs a
// file that standard output goes to. It does not wait for the reader of a pipe. It is idempotent.
func (s *Sink) Commit() error {
	if s.committed {
		return nil
	}
	if err := s.usable(); err != nil {
		return err
	}
	s.err = s.out.commit()
	s.committed = s.err == nil
	return s.err
}

// Close frees the sink. Unless Commit came first, it removes a new file. It closes a named pipe, so
// that its reader sees EOF, and leaves standard output open. It is idempotent.
func (s *Sink) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	return s.out.close()
}

func (s *Sink) usable() error {
	if s.err == nil && (s.committed || s.closed) {
		return fmt.Errorf("stream: sink: %w", fs.ErrClosed)
	}
	return s.err
}
