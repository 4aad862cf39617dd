package guard

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pieceSize is the most that is written at once while a timeout is measured: as much as a pipe
// holds.
const pieceSize = 64 << 10

// makePipe makes the pipe that is CMD's stdin. It keeps no read end: if CMD closes its stdin, a
// write has to fail.
func (p *Process) makePipe() (readEnd, theirs *os.File, err error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, err
	}
	readEnd = os.NewFile(uintptr(pipe[0]), "pipe")
	second, err := unix.FcntlInt(uintptr(pipe[1]), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(pipe[1], true) // so that a write can be interrupted; the guard never writes
	}
	p.stdin = os.NewFile(uintptr(pipe[1]), "pipe")
	if err != nil {
		readEnd.Close()
		return nil, nil, err
	}
	return readEnd, os.NewFile(uintptr(second), "pipe"), nil
}

// Write writes to CMD's stdin.
func (p *Process) Write(b []byte) (written int, err error) {
	for written < len(b) {
		if p.timeout > 0 {
			p.stdin.SetWriteDeadline(time.Now().Add(p.timeout))
		}
		if err := p.checkOpen(); err != nil { // after the deadline is set, as both causes set one in the past
			return written, err
		}
		before := unreadIn(p.stdin)
		n, err := p.stdin.Write(b[written:min(written+pieceSize, len(b))])
		written += n
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			if err := p.checkOpen(); err != nil {
				return written, err
			}
			if unreadIn(p.stdin) == before+n {
				return written, p.stalled()
			}
		case errors.Is(err, syscall.EPIPE):
			return written, p.awaitExit()
		default:
			return written, err
		}
	}
	return written, nil
}

// checkOpen returns why writing must stop, or nil.
func (p *Process) checkOpen() error {
	select {
	case <-p.exited:
		return p.Explain(errExited)
	default:
		return p.ctx.Err()
	}
}

var errExited = errors.New("CMD has exited")

// awaitExit waits for CMD after EPIPE, so that its exit status is reported, not the broken pipe.
func (p *Process) awaitExit() error {
	var late <-chan time.Time
	if p.timeout > 0 {
		late = time.After(p.timeout)
	}
	select {
	case <-p.exited:
		return p.Explain(errExited)
	case <-p.ctx.Done():
		return p.ctx.Err()
	case <-late:
		return p.stalled()
	}
}

func (p *Process) stalled() error { return fmt.Errorf("write to %s: %w", p.name, ErrStalled) }

func (p *Process) closeStdin() (err error) {
	// A pipe can be opened again by its name in /proc: the only way to a read end that was not
	// there before.
	p.unread, err = os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", descriptor(p.stdin)), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	p.stdin.Close()
	p.order(orderEOF)
	return nil
}

// unreadIn returns the number of bytes in the pipe that CMD has not read.
func unreadIn(pipe *os.File) int {
	n, err := unix.IoctlGetInt(descriptor(pipe), unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return n
}

// descriptor is file.Fd without its side effect: that makes the file blocking.
func descriptor(file *os.File) int {
	fd := -1
	if conn, err := file.SyscallConn(); err == nil {
		conn.Control(func(n uintptr) { fd = int(n) })
	}
	return fd
}
