package engine

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"
)

// lookAtLocks asks who would be in the way, of the bytes that https://www.sqlite.org/src/file/src/os.h lists.
func lookAtLocks(main *os.File) lockView {
	any, known := conflicting(main, exclusiveLock, pendingByte, sharedFirst-pendingByte+sharedSize)
	if !any {
		return lockView{known: known}
	}
	writing, _ := conflicting(main, sharedLock, pendingByte, sharedFirst-pendingByte+sharedSize)
	pending, _ := conflicting(main, sharedLock, pendingByte, 1)
	exclusive, _ := conflicting(main, sharedLock, sharedFirst, sharedSize)
	return lockView{known: true, any: true, writing: writing, excluding: pending || exclusive}
}

// lookBeside asks who else has the database open in WAL mode. It closes a descriptor of the -shm, so no connection of ours may be open.
func (s *sourceFile) lookBeside() (n neighbours) {
	shm := sqlitefile.OpenAux(s.path + "-shm")
	defer shm.Close()
	n.main, _ = conflicting(s.file, exclusiveLock, sharedFirst+1, sharedSize-1)
	if shm.File != nil {
		n.index, _ = conflicting(shm.File, exclusiveLock, sqlitefile.WALIndexOpenLock, 1)
		n.reader, _ = conflicting(shm.File, exclusiveLock, sqlitefile.WALIndexLocks, sqlitefile.WALIndexOpenLock-sqlitefile.WALIndexLocks)
	}
	n.blind = shm.Err != nil
	return n
}

// walReader is a process that holds a read mark of the -wal, 0 if none is seen.
func (s *sourceFile) walReader() (pid int) {
	const firstReader, readers = sqlitefile.WALIndexLocks + 3, 5
	shm := sqlitefile.OpenAux(s.path + "-shm")
	defer shm.Close()
	if shm.File == nil {
		return 0
	}
	lock, err := blocking(shm.File, exclusiveLock, firstReader, readers)
	if err != nil || lock.Type == unix.F_UNLCK {
		return 0
	}
	return max(0, int(lock.Pid))
}

// exclusiveHolder reports whether somebody holds EXCLUSIVE, and who.
func exclusiveHolder(main *os.File) (held bool, pid int) {
	lock, err := blocking(main, sharedLock, sharedFirst, sharedSize)
	if err != nil || lock.Type == unix.F_UNLCK {
		return false, 0
	}
	return true, max(0, int(lock.Pid)) // -1 for a lock that belongs to no process
}

// conflicting reports whether anybody holds a lock that one of the kind would conflict with. known is false where the file
// system has no such locks.
func conflicting(f *os.File, kind lockKind, start, length int64) (held, known bool) {
	lock, err := blocking(f, kind, start, length)
	return err == nil && lock.Type != unix.F_UNLCK, err == nil
}

func blocking(f *os.File, kind lockKind, start, length int64) (unix.Flock_t, error) {
	for {
		lock := unix.Flock_t{Type: unix.F_RDLCK, Start: start, Len: length}
		if kind == exclusiveLock {
			lock.Type = unix.F_WRLCK
		}
		err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lock)
		if !errors.Is(err, unix.EINTR) {
			return lock, err
		}
	}
}
