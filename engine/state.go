package engine

import (
	"cmp"
	"fmt"
	"io"
	"os"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"
)

// A presence says whether a file beside a database exists and holds data.
type presence int

const (
	missing presence = iota
	empty            // exists, but holds no data: an empty WAL, a journal with a zeroed header
	nonEmpty
)

// A sourceState is what decides how a database can be read without leaving a trace.
type sourceState struct {
	walHeader bool     // the database header says WAL mode
	wal       presence // the -wal file
	shm       bool     // the -shm file is there, and SQLite can use it without changing anything
	journal   presence // the -journal file
}

// An access is a way to open a source that changes nothing about it.
type access int

const (
	// accessReadOnly is mode=ro, for a database in rollback mode: SQLite takes its SHARED lock and
	// makes no file.
	accessReadOnly access = iota
	// accessShared is mode=ro&readonly_shm=1: both WAL files are there, neither will be written.
	accessShared
	// accessImmutable is immutable=1 for a WAL database that no process has open: anything else
	// would leave a -wal and a -shm behind. It takes no locks, so file states must be compared
	// afterwards.
	accessImmutable
	// accessCopy copies the database and its -wal to a private place and opens the copy there: to
	// read this WAL SQLite would have to make a -shm beside it.
	accessCopy
	// accessJournal is none: what the database holds is known only once the rollback journal has
	// been played back.
	accessJournal
)

// access chooses how to open the source. Every combination is listed in TestAccess.
func (s sourceState) access() access {
	switch {
	case !s.walHeader && s.wal != nonEmpty:
		return accessReadOnly // SQLite decides whether a journal is hot
	case s.walHeader && s.wal != missing && s.shm:
		return accessShared // here, too
	case s.journal == nonEmpty:
		return accessJournal
	case s.wal == nonEmpty:
		return accessCopy
	default:
		return accessImmutable
	}
}

// survey collects everything that decides how the source is read, or why it cannot be, before
// SQLite opens it. Under our lock the answer stays true; without it, it holds for the moment.
func (s *sourceFile) survey(op string) (sourceState, neighbours, error) {
	if s.replaced() {
		return sourceState{}, neighbours{}, errReplaced
	}
	if err := checkPathLength(s.path); err != nil {
		return sourceState{}, neighbours{}, sourceError(op, s.name, err)
	}
	if err := cmp.Or(s.checkAuxFiles(), s.checkLayers()); err != nil {
		return sourceState{}, neighbours{}, err
	}
	state, err := s.readState()
	if err != nil {
		return state, neighbours{}, sourceError(op, s.name, err)
	}
	beside := s.probeNeighbours()
	if err := beside.elsewhere(state); err != nil {
		return state, beside, err
	}
	if state.shm && !beside.index {
		if state.shm, err = s.indexRebuildable(state); err != nil {
			return state, beside, sourceError(op, s.name, err)
		}
	}
	return state, beside, nil
}

// indexRebuildable reports whether SQLite can read a -wal whose -shm no connection has open: it
// builds an index of its own. If the header of the -wal is not valid, or no frame follows it,
// SQLite tries for ten seconds and fails. On overlayfs it must not try: it would copy the -wal up.
func (s *sourceFile) indexRebuildable(state sourceState) (bool, error) {
	if s.onOverlay() {
		return false, nil
	}
	if state.wal != nonEmpty {
		return true, nil
	}
	wal, err := s.openFile("-wal")
	if os.IsNotExist(err) { // an application has closed
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%s-wal: %w", s.path, underlying(err))
	}
	defer wal.Close()
	var start [sqlitefile.WALHeaderSize + 1]byte
	n, err := wal.ReadAt(start[:], 0)
	if err != nil && err != io.EOF {
		return false, err
	}
	_, valid := sqlitefile.ParseWALHeader(start[:n])
	return n < sqlitefile.WALHeaderSize || valid && n > sqlitefile.WALHeaderSize, nil
}

// readState reads the state. The SHARED lock must be held, so that no connection can change the
// journal mode or remove a -wal meanwhile.
func (s *sourceFile) readState() (sourceState, error) {
	if err := s.readHeader(); err != nil {
		return sourceState{}, err
	}
	state := sourceState{walHeader: s.header.WAL()}
	var err error
	if state.wal, err = s.statAux("-wal", sizeOnly); err != nil {
		return state, err
	}
	if state.journal, err = s.statAux("-journal", s.firstByte); err != nil {
		return state, err
	}
	state.shm, err = s.sharedMemoryUsable()
	return state, err
}

// sharedMemoryUsable reports whether there is a -shm, and SQLite would change neither it nor the
// -wal: it gives empty files the mode of the database.
func (s *sourceFile) sharedMemoryUsable() (bool, error) {
	info, err := s.file.Stat()
	if err != nil {
		return false, err
	}
	for _, suffix := range []string{"-shm", "-wal"} {
		side, err := os.Stat(s.path + suffix)
		switch {
		case os.IsNotExist(err):
			return false, nil
		case err != nil:
			return false, err
		case !side.Mode().IsRegular():
			return false, fmt.Errorf("%s: not a regular file", s.path+suffix)
		case side.Size() == 0 && side.Mode().Perm() != info.Mode().Perm():
			return false, nil
		}
	}
	return true, nil
}

// statAux reports what is beside the main file. hasContent decides whether an existing file counts
// as non-empty.
func (s *sourceFile) statAux(
	suffix string, hasContent func(suffix string, size int64) (bool, error),
) (presence, error) {
	path := s.path + suffix
	info, err := os.Stat(path)
	if os.IsNotExist(err) {
		return missing, nil
	}
	if err != nil {
		return missing, err
	}
	if !info.Mode().IsRegular() { // SQLite would open it, and a FIFO would hold it up
		return missing, fmt.Errorf("%s: not a regular file", path)
	}
	if ok, err := hasContent(suffix, info.Size()); err != nil || !ok {
		return empty, err
	}
	return nonEmpty, nil
}

func sizeOnly(_ string, size int64) (bool, error) { return size > 0, nil }

// firstByte is SQLite's own test for a journal that was ended by zeroing its header.
func (s *sourceFile) firstByte(suffix string, _ int64) (bool, error) {
	f, err := s.openFile(suffix)
	if os.IsNotExist(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], 0); err != nil {
		if err == io.EOF {
			err = nil
		}
		return false, err
	}
	return b[0] != 0, nil
}
