package stream

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// widePipe is the capacity, in bytes, that a pipe is given for wideFrom bytes or more: the most
	// that an unprivileged user may have by default. Fewer are not worth it.
	widePipe = 1 << 20
	wideFrom = 16 * widePipe

	// pauseTime is so short that a wide pipe does not run empty: the kernel, which adds 50 µs,
	// copies at most 1 MiB to a reader in 100 µs.
	pauseTime = 50 * time.Microsecond

	// sharedPiece is the most that is moved to a shared descriptor at once.
	sharedPiece = 1 << 20
)

// widen enlarges a pipe as far as that is allowed, and reports whether it now holds widePipe bytes:
// both ends then wait less often for each other.
func widen(pipe syscall.RawConn) (wide bool) {
	pipe.Control(func(fd uintptr) {
		held, err := unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0)
		for size := widePipe; err == nil && size > held; size /= 2 {
			if _, err := unix.FcntlInt(fd, unix.F_SETPIPE_SZ, size); err == nil {
				held = size
			}
		}
		wide = held >= widePipe
	})
	return wide
}

// pause lets the reader of a wide pipe read most of what the pipe holds. Without it splice(2) would
// send little after each read(2), and wait for the pipe's lock by spinning. It is a raw system
// call, as the runtime would wake another thread to take the place of one that sleeps.
func pause() {
	t := unix.NsecToTimespec(int64(pauseTime))
	unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&t)), 0, 0)
}

// move waits for the reader as Write does.
func (o *pipeOutlet) move(file syscall.RawConn, offset, n int64) (moved int64, err error) {
	pipe, err := o.file.SyscallConn()
	if err != nil {
		return 0, nil
	}
	if !o.widened && n >= wideFrom {
		o.widened = true
		o.wide = widen(pipe)
	}
	if o.timeout > 0 {
		o.file.SetWriteDeadline(time.Now().Add(o.timeout))
	}
	// The watch may have set its deadline just before ours.
	if err := context.Cause(o.ctx); err != nil {
		return 0, err
	}
	var failed error
	err = pipe.Write(func(fd uintptr) bool {
		if o.wide {
			pause()
		}
		moved, failed = sendFile(file, offset, n, splice(int(fd)))
		return failed != unix.EAGAIN
	})
	return moved, o.explain(cmp.Or(err, fatal(failed)))
}

// move leaves a goroutine behind as Write does.
func (o *sharedOutlet) move(file syscall.RawConn, offset, n int64) (moved int64, err error) {
	info, err := o.file.Stat()
	if err != nil {
		return 0, nil
	}
	var send sender
	switch info.Mode().Type() {
	case os.ModeNamedPipe:
		send = splice(o.fd)
	case os.ModeSocket:
		send = sendfile(o.fd)
	default:
		return 0, nil
	}
	n = min(n, sharedPiece)
	if o.timeout > 0 {
		n = min(n, timeoutChunk)
	}
	m, err := o.await(func() (int, error) { return o.moveSome(file, offset, n, send) })
	o.written += int64(m)
	return int64(m), err
}

// moveSome waits for the reader: the descriptor may have been made non-blocking, as writeSome says.
func (o *sharedOutlet) moveSome(file syscall.RawConn, offset, n int64, send sender) (int, error) {
	for {
		moved, err := sendFile(file, offset, n, send)
		if err == unix.EAGAIN {
			if err = waitWritable(o.ctx, o.fd); err == nil {
				continue
			}
			return 0, err
		}
		return int(moved), writeError(o.file.Name(), fatal(err))
	}
}

// A sender has the kernel send up to n bytes of a file, from its position on.
type sender func(file, n int) (int, error)

func splice(pipe int) sender {
	return func(file, n int) (int, error) {
		moved, err := unix.Splice(file, nil, pipe, nil, n, 0)
		return int(moved), err
	}
}

func sendfile(socket int) sender {
	return func(file, n int) (int, error) { return unix.Sendfile(socket, file, nil, n) }
}

// sendFile sends some of a file. The file stays open meanwhile, even if its owner closes it. Its
// position shows how far it has got, in proc(5)'s fdinfo.
func sendFile(file syscall.RawConn, offset, n int64, send sender) (moved int64, err error) {
	const most = 1 << 30 // what a system call takes
	controlErr := file.Control(func(fd uintptr) {
		if _, err = unix.Seek(int(fd), offset, io.SeekStart); err != nil {
			return
		}
		var m int
		for m, err = send(int(fd), int(min(n, most))); err == unix.EINTR; {
			m, err = send(int(fd), int(min(n, most)))
		}
		moved = int64(max(m, 0))
	})
	return moved, cmp.Or(controlErr, err)
}

// fatal returns err if it means that the reader is gone, else nil: after any other error, such as
// that of a file system without splice or of a failing disk, the caller reads and writes, which
// works or reports a better error.
func fatal(err error) error {
	if errors.Is(err, unix.EPIPE) {
		return err
	}
	return nil
}
