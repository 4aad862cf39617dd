package engine

import (
	"context"
	"errors"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

// fileStates are the states of all files of a database at one moment.
type fileStates struct{ main, wal, shm, journal osfile.FileState }

// How far apart two writes must be to get different modification times: on older kernels, and on
// file systems that keep seconds (ext3) or two of them (FAT).
const (
	timeGrain        = 20 * time.Millisecond
	wholeSecondGrain = 2 * time.Second
)

func (s *sourceFile) fileStates() fileStates {
	f := fileStates{
		main:    osfile.Stat(s.path),
		wal:     osfile.Stat(s.path + "-wal"),
		shm:     osfile.Stat(s.path + "-shm"),
		journal: osfile.Stat(s.path + "-journal"),
	}
	f.wal.Ctime, f.journal.Ctime = time.Time{}, time.Time{}  // which SQLite changes: as root it sets their owner
	f.shm = osfile.FileState{Dev: f.shm.Dev, Ino: f.shm.Ino} // its contents follow the locks, not the data
	return f
}

// grain returns how long a file must have been unchanged for its next change to be seen.
func (f fileStates) grain() time.Duration {
	if f.main.WholeSeconds() && f.wal.WholeSeconds() {
		return wholeSecondGrain
	}
	return timeGrain
}

func (f fileStates) fresh(t time.Time) bool { return time.Since(t).Abs() < f.grain() }

var (
	errDisturbed = errors.New("the database kept changing while it was read without locks")
	errUnlocked  = errors.New(
		"the database was written to although it was locked: locks do not reach its writer here")
)

// tooFresh reports whether a source that is read without SQLite's locks was written so recently
// that the next write might not show in its times. Under our own lock every writer leaves a -wal,
// so only the time of an existing -wal counts.
func (p *readTx) tooFresh() bool {
	if p.how == accessReadOnly || p.how == accessShared && p.beside.index {
		return false
	}
	return p.before.fresh(p.before.wal.Mtime) || !p.locked && p.before.fresh(p.before.main.Mtime)
}

// awaitGrain waits, on a file system where locks may not reach the writer, until its next write
// would show.
func (p *readTx) awaitGrain(ctx context.Context) error {
	if p.how != accessReadOnly || !p.before.fresh(p.before.main.Mtime) {
		return nil
	}
	if _, shared, err := networkFilesystem(p.source.path); err != nil || !shared {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(p.before.grain()):
		return nil // a write meanwhile shows when the copy is done
	}
}

// checkUndisturbed fails if the source was written to since the transaction began. With working
// locks that is impossible: in rollback mode the main file cannot change, and in WAL mode either
// the main file or the start of the WAL cannot, because a read mark other than 0 forbids the
// second, and mark 0 the first.
func (p *readTx) checkUndisturbed() error {
	if err := p.source.checkLayers(); err != nil { // first: a -journal that it hides ends with its commit
		return err
	}
	now := p.source.fileStates()
	switch {
	case p.how == accessReadOnly:
		if now.main != p.before.main {
			return errUnlocked
		}
	case p.how == accessShared && p.beside.index:
		if p.start != nil && now.main != p.start.main && p.source.walStart() != p.start.walHeader {
			return errUnlocked
		}
	case now == p.before:
	case p.how == accessShared:
		return errUnlocked
	default:
		return errDisturbed
	}
	return nil
}

// A txStart is what a read transaction in WAL mode found when it began.
type txStart struct {
	main      osfile.FileState
	walHeader [sqlitefile.WALHeaderSize]byte
}

// walStart returns the header of the -wal, zero if there is none.
func (s *sourceFile) walStart() (b [sqlitefile.WALHeaderSize]byte) {
	wal := sqlitefile.OpenAux(s.path + "-wal")
	defer wal.Close()
	if wal.File != nil {
		wal.File.ReadAt(b[:], 0)
	}
	return b
}
