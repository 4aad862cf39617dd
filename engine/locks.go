package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

// InUse reports whether some connection, of any process, has a database open.
type InUse string

const (
	InUseYes InUse = "yes" // a connection holds a lock
	InUseNo  InUse = "no"  // no connection has it open
	// InUseUnknown: an idle connection holds no lock, as in rollback mode, or locks cannot be seen
	// here.
	InUseUnknown InUse = "unknown"
)

// SQLite's lock bytes. See https://www.sqlite.org/src/file/src/os.h, PENDING_BYTE and after.
const (
	pendingByte = 0x40000000
	sharedFirst = pendingByte + 2
	sharedSize  = 510
)

// lockShared takes the first byte of SQLite's SHARED lock, which SQLite never locks alone. While it
// is held no connection gets EXCLUSIVE: no journal mode change, no commit in rollback mode, and an
// application that closes leaves its -wal and -shm in place. It goes through PENDING as SQLite
// does, so that a waiting writer goes first. locked is false on a file system without such locks.
func lockShared(f *os.File) (locked bool, err error) {
	if err := osfile.Lock(f, osfile.Shared, pendingByte, 1); err != nil {
		return false, ignoreNoLocks(err)
	}
	defer osfile.Unlock(f, pendingByte, 1)
	if err := osfile.Lock(f, osfile.Shared, sharedFirst, 1); err != nil {
		return false, ignoreNoLocks(err)
	}
	return true, nil
}

func unlockShared(f *os.File) { osfile.Unlock(f, sharedFirst, 1) }

// ignoreNoLocks returns nil where there are no locks: changes are then found by file states alone.
func ignoreNoLocks(err error) error {
	if errors.Is(err, osfile.ErrLocked) {
		return err
	}
	return nil
}

// A lockState says which of SQLite's locks on the main file are held.
type lockState struct {
	known     bool // the platform and the file system show locks
	any       bool // some connection reads or writes, or has the database open in WAL mode
	writing   bool // some connection holds RESERVED, PENDING or EXCLUSIVE
	excluding bool // PENDING or EXCLUSIVE: no reader can start
}

// inUseBy decides by the locks on the main file and, in WAL mode, on the -shm.
func inUseBy(locks lockState, wal bool, shm sqlitefile.AuxFile) InUse {
	switch {
	case locks.any:
		return InUseYes
	case !wal || !locks.known || shm.Err != nil:
		return InUseUnknown
	case shm.File == nil:
		return InUseNo // without -shm, only a connection that holds EXCLUSIVE can be in WAL mode
	}
	return inUseInWAL(shm.File)
}

// inUseInWAL probes the lock that every WAL connection holds on its -shm.
func inUseInWAL(shm *os.File) InUse {
	_, held, known := osfile.Conflict(shm, osfile.Exclusive, sqlitefile.WALIndexOpenLock, 1)
	switch {
	case held:
		return InUseYes
	case known:
		return InUseNo
	}
	return InUseUnknown
}

// neighbours are the locks that other SQLite connections hold. A connection in WAL mode holds
// SHARED on the main file and a lock on its -shm until it closes.
type neighbours struct {
	main   bool // SHARED or more is held
	holder int  // the process that has held it for longest, 0 if unknown
	index  bool // a connection has the -shm beside the main file open
	reader bool // a read mark is held, perhaps by a read-only connection like ours
	blind  bool // the -shm cannot be read
	other  bool // it is the index of another -wal than the one beside it
	lost   bool // the holder has the main file open, and a -shm that was deleted
}

var errElsewhere = errors.New("does not use the -wal and -shm beside it: " +
	"they were replaced, truncated or deleted, or the process opened another name")

// elsewhere returns an error if a connection uses a -wal or -shm other than the one beside the main
// file.
func (n neighbours) elsewhere(s sourceState) error {
	apart := s.walHeader && n.main && !n.blind && (s.wal == missing || !n.index && !n.reader)
	switch {
	case !n.other && !n.lost && !apart:
		return nil
	case n.holder == 0:
		return fmt.Errorf("a process has it open, but %w", errElsewhere)
	}
	return fmt.Errorf("process %d%s has it open, but %w", n.holder, commandOf(n.holder), errElsewhere)
}

// probeNeighbours probes the locks of other connections. It closes a descriptor of the -shm, which
// would drop the locks of our own connections: none may be open.
func (s *sourceFile) probeNeighbours() (n neighbours) {
	shm := sqlitefile.OpenAux(s.path + "-shm")
	defer shm.Close()
	n.holder, n.main, _ = osfile.Conflict(s.file, osfile.Exclusive, sharedFirst+1, sharedSize-1)
	if shm.File != nil {
		oldest := 0
		oldest, n.index, _ = osfile.Conflict(shm.File, osfile.Exclusive, sqlitefile.WALIndexOpenLock, 1)
		n.lost = n.main && n.index && n.holder != oldest && s.lostIndex(n.holder, shm.File)
		const first, end = sqlitefile.WALIndexLocks, sqlitefile.WALIndexOpenLock
		_, n.reader, _ = osfile.Conflict(shm.File, osfile.Exclusive, first, end-first)
	}
	n.blind = shm.Err != nil
	n.other = n.index && s.indexesOther(shm)
	return n
}

// lostIndex reports whether a process has a deleted -shm of the database open, and not the one
// beside it. Linux names the process that has held a lock for longest: if that one uses this -shm,
// so does every process that came after it.
func (s *sourceFile) lostIndex(pid int, shm *os.File) (lost bool) {
	name := filepath.Base(s.path) + "-shm"
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	beside, err := shm.Stat()
	fds, _ := os.ReadDir(dir)
	for _, fd := range fds {
		link, _ := os.Readlink(filepath.Join(dir, fd.Name()))
		switch filepath.Base(link) {
		case name:
			info, statErr := os.Stat(filepath.Join(dir, fd.Name()))
			if err != nil || statErr != nil || os.SameFile(info, beside) {
				return false
			}
		case name + " (deleted)":
			lost = true
		}
	}
	return lost
}

// indexesOther reports whether the -shm is not the index of the -wal beside it, as after another
// -wal was put in its place, or it was truncated: SQLite would read its frames by this index. A
// writer that restarts the WAL changes first the index, which then has no frames, and then the
// -wal.
func (s *sourceFile) indexesOther(shm sqlitefile.AuxFile) bool {
	index := shm.WALIndex()
	wal := sqlitefile.OpenAux(s.path + "-wal")
	defer wal.Close()
	if index.Frames == 0 || wal.File == nil {
		return false
	}
	var start [sqlitefile.WALHeaderSize]byte
	wal.File.ReadAt(start[:], 0)
	header, valid := sqlitefile.ParseWALHeader(start[:])
	end := sqlitefile.WALHeaderSize + index.Frames*int64(sqlitefile.FrameHeaderSize+header.PageSize)
	indexed := valid && header.Salt == index.Salt && wal.Size >= end
	return !indexed && index.Salt == shm.WALIndex().Salt
}

// seemsReplaced reports whether a connection has the -shm open, but holds no lock on the main file:
// it may have the one open that had this name before. A connection that is being opened locks the
// main file first. A process that has closed another descriptor of the file has lost its locks.
func (s *sourceFile) seemsReplaced() bool {
	if !s.header.WAL() {
		return false
	}
	n := s.probeNeighbours()
	return n.index && !n.main && !s.probeNeighbours().main
}

// walReader returns a process that holds a read mark of the -wal, 0 if none is known.
func (s *sourceFile) walReader() (pid int) {
	const firstReader, readers = sqlitefile.WALIndexLocks + 3, 5
	shm := sqlitefile.OpenAux(s.path + "-shm")
	defer shm.Close()
	if shm.File == nil {
		return 0
	}
	pid, _, _ = osfile.Conflict(shm.File, osfile.Exclusive, firstReader, readers)
	return pid
}

// exclusiveHolder reports whether EXCLUSIVE is held, and by which process.
func exclusiveHolder(main *os.File) (held bool, pid int) {
	pid, held, _ = osfile.Conflict(main, osfile.Shared, sharedFirst, sharedSize)
	return held, pid
}

// probeLocks reports which of SQLite's locks are held, without taking any.
func probeLocks(main *os.File) lockState {
	_, any, known := osfile.Conflict(main, osfile.Exclusive, pendingByte, sharedFirst-pendingByte+sharedSize)
	if !any {
		return lockState{known: known}
	}
	_, writing, _ := osfile.Conflict(main, osfile.Shared, pendingByte, sharedFirst-pendingByte+sharedSize)
	_, pending, _ := osfile.Conflict(main, osfile.Shared, pendingByte, 1)
	_, exclusive, _ := osfile.Conflict(main, osfile.Shared, sharedFirst, sharedSize)
	return lockState{known: true, any: true, writing: writing, excluding: pending || exclusive}
}
