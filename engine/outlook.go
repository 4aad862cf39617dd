package engine

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

// An outlook is what a copy would meet now, as far as can be known without SQLite and without a
// lock.
type outlook struct {
	how     access
	locks   lockState
	journal Journal
	err     error // what beginRead would fail with if nothing changes, raw as beginRead's
}

// outlook makes the decisions that beginRead makes, up to its first lock.
func (s *sourceFile) outlook() (o outlook) {
	o.locks = probeLocks(s.file)
	o.journal = s.journal()
	state, _, err := s.survey("read")
	o.how = state.access()
	switch {
	case o.locks.excluding:
		o.err = osfile.ErrLocked
	case err != nil:
		o.err = err
	case o.how == accessJournal, o.journal == JournalHot:
		o.err = errHotJournal
	default:
		o.err = s.checkReadable(o.how)
	}
	return o
}

// checkReadable fails if the files that are read besides the main file cannot be opened.
func (s *sourceFile) checkReadable(how access) error {
	var read []string
	switch how {
	case accessShared:
		read = []string{"-wal", "-shm"}
	case accessCopy:
		read = []string{"-wal"}
	}
	for _, suffix := range read {
		path := s.path + suffix
		err := s.owner.Do(func() error { return unix.Faccessat(unix.AT_FDCWD, path, unix.R_OK, unix.AT_EACCESS) })
		if err != nil {
			return &Error{Kind: KindUnreadable, Op: "read", Path: s.name, Err: fmt.Errorf("%s: %w", path, err)}
		}
	}
	return nil
}

// forecast describes the outlook in a word and in a phrase.
func (o outlook) forecast(held InUse) (Forecast, string) {
	var known *Error
	switch {
	case errors.Is(o.err, osfile.ErrLocked):
		return ForecastBusy, "waits: a connection holds the database exclusively"
	case errors.Is(o.err, errHotJournal) && o.journal == JournalPresent && o.locks.writing:
		return ForecastBusy, "waits: there is a rollback journal beside the WAL"
	case errors.Is(o.err, errHotJournal):
		return ForecastRefused, "would be refused: a crash left a hot rollback journal"
	case errors.As(o.err, &known):
		return ForecastRefused, "would be refused: " + known.Err.Error()
	case o.err != nil:
		return ForecastRefused, "would be refused: " + o.err.Error()
	}
	switch o.how {
	case accessReadOnly:
		return ForecastReadOnly, "reads the database under SQLite's shared lock: commits wait while pages are copied"
	case accessShared:
		return ForecastSharedMemory, "reads the WAL through the existing -shm: no writer waits"
	case accessCopy:
		return ForecastPrivateCopy, "copies the database and its WAL first, and reads that copy"
	}
	if held == InUseNo {
		return ForecastImmutable, "reads without locks: no process has the database open"
	}
	return ForecastImmutable, "reads without locks, and repeats if the file changes"
}
