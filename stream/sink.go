package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/term"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// What is wrong with the place a stream should go to.
var (
	// ErrTerminal means that standard output is a terminal.
	ErrTerminal = errors.New("standard output is a terminal")
	// ErrClosed means that standard output was closed before the program began, so that all would be lost: its
	// place is then held by the null device, opened for reading and writing.
	ErrClosed = errors.New("standard output is closed, or the null device opened for reading and writing")
	// ErrStalled means that the reader took nothing for the time that was set.
	ErrStalled = errors.New("the reader takes nothing")
	// ErrBrokenPipe means that the reader has gone.
	ErrBrokenPipe = errors.New("the reader has gone")
)

// A Target is a kind of place that a stream can go to.
type Target int

const (
	Stdout  Target = iota + 1 // "-"
	FIFO                      // a named pipe, or a symbolic link to a pipe, as /dev/fd/63 is
	NewFile                   // a name that nothing has yet
)

// ProbeTarget says what kind of place target is, and refuses early what [OpenSink] would refuse: [ErrTerminal] and
// [ErrClosed] for standard output, [fs.ErrExist] for a name that is taken and is no pipe, [fs.ErrNotExist] for one in
// a directory that does not exist. It touches nothing. stdout is [os.Stdout] if nil.
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

// descriptor gives the number of f's descriptor, and leaves its mode alone.
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
	// Timeout is the longest time without progress, and that to wait for the reader of a named pipe; 0 is none.
	// Progress is 64 KiB.
	Timeout time.Duration
	// Stdout is what "-" means; nil is [os.Stdout].
	Stdout *os.File
	// Place, if not nil, is the directory of a new file, already open: the file is made there, whatever
	// the path leads to by now.
	Place *atomicfile.Place
}

// A Sink is the place a stream goes to. Unless Commit is called a new file never comes to be. Errors are final: after
// one, every call returns it.
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

// OpenSink opens target: "-" for standard output, a named pipe, whose reader it waits for, or a new file. It fails as
// [ProbeTarget] does, and with [ErrStalled] where no reader comes.
//
// When ctx ends, Write returns its cause within a fraction of a second, however long the reader stalls.
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

// Target is the kind of place the sink is.
func (s *Sink) Target() Target { return s.target }

// Write writes all of p or fails: with [ErrBrokenPipe], [ErrStalled], the cause of the context's end, or an error of
// the operating system.
func (s *Sink) Write(p []byte) (n int, err error) {
	if err := s.usable(); err != nil {
		return 0, err
	}
	n, s.err = s.out.Write(p)
	return n, s.err
}

// Commit says that all was written. It gives a new file its name once it is durable, syncs a file that standard output
// goes to, and waits for nothing at a pipe.
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

// Close frees the sink. Unless Commit came first, a new file is removed. It closes a named pipe, so that its reader
// sees the end, and leaves standard output open. It is idempotent.
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
