package engine

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// errLocked says that a lock is held by somebody else.
var errLocked = errors.New("database is locked")

// lockShared takes the first byte of SQLite's SHARED lock, which no connection of SQLite's takes alone, with an open file description lock, which no close elsewhere in the
// process can drop. While it is held nobody can enter the EXCLUSIVE state: no journal mode changes, no rollback-mode commit, and an application
// that closes leaves its -wal and -shm in place. It passes through PENDING as SQLite does, so that a
// waiting writer goes first. locked is false on a file system that has no such locks.
func lockShared(f *os.File) (locked bool, err error) {
	if err := setLock(f, unix.F_RDLCK, pendingByte, 1); err != nil {
		return false, ignoreNoLocks(err)
	}
	defer setLock(f, unix.F_UNLCK, pendingByte, 1)
	if err := setLock(f, unix.F_RDLCK, sharedFirst, 1); err != nil {
		return false, ignoreNoLocks(err)
	}
	return true, nil
}

func unlockShared(f *os.File) { setLock(f, unix.F_UNLCK, sharedFirst, 1) }

// ignoreNoLocks lets only errLocked pass: without locks the guard's stamps have to do.
func ignoreNoLocks(err error) error {
	if errors.Is(err, errLocked) {
		return err
	}
	return nil
}

func setLock(f *os.File, kind int16, start, length int64) error {
	lock := unix.Flock_t{Type: kind, Start: start, Len: length}
	for {
		err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lock)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EACCES):
			return errLocked
		default:
			return err
		}
	}
}
