package osfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Lock locks bytes of f with an open file description lock, which no close elsewhere in the process
// can drop. It does not wait: it returns ErrLocked if the lock is taken, and another error if the
// file system has no such locks.
func Lock(f *os.File, kind LockKind, start, length int64) error {
	return setLock(f, kind.fcntl(), start, length)
}

// Unlock releases what Lock locked.
func Unlock(f *os.File, start, length int64) { setLock(f, unix.F_UNLCK, start, length) }

// Conflict reports whether a lock is held that a lock of this kind would conflict with, and by
// which process, 0 if unknown. known is false if the file system has no such locks. It takes no
// lock itself.
func Conflict(f *os.File, kind LockKind, start, length int64) (pid int, held, known bool) {
	lock := unix.Flock_t{Type: kind.fcntl(), Start: start, Len: length}
	err := fcntl(f, unix.F_OFD_GETLK, &lock)
	if err != nil || lock.Type == unix.F_UNLCK {
		return 0, false, err == nil
	}
	return max(0, int(lock.Pid)), true, true // -1 is an open file description lock
}

func setLock(f *os.File, kind int16, start, length int64) error {
	err := fcntl(f, unix.F_OFD_SETLK, &unix.Flock_t{Type: kind, Start: start, Len: length})
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return ErrLocked
	}
	return err
}

func fcntl(f *os.File, command int, lock *unix.Flock_t) error {
	asked := *lock
	for {
		*lock = asked
		if err := unix.FcntlFlock(f.Fd(), command, lock); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func (k LockKind) fcntl() int16 {
	if k == Exclusive {
		return unix.F_WRLCK
	}
	return unix.F_RDLCK
}
