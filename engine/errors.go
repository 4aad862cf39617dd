package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"
)

// A Kind is the sort of failure that an [Error] is. It is itself an error, so that errors.Is(err,
// KindBusy) works.
type Kind string

// Error returns the kind itself, such as "busy".
func (k Kind) Error() string { return string(k) }

const (
	KindMissing         Kind = "missing"          // the source does not exist
	KindNotDatabase     Kind = "not_a_database"   // the source is not a SQLite database, or an encrypted one
	KindUnreadable      Kind = "unreadable"       // the source cannot be read: permission, I/O error
	KindHotJournal      Kind = "hot_journal"      // a crash left a rollback journal that must be played back first
	KindChanged         Kind = "changed"          // the source was replaced, removed or truncated during the copy
	KindInProcess       Kind = "open_in_process"  // this process already has the database open
	KindNotOwner        Kind = "not_owner"        // new files would not be writable for the application
	KindForeignFile     Kind = "foreign_file"     // a -wal, -shm or -journal is a link or another user's
	KindBusy            Kind = "busy"             // locked, or changing too fast, until the busy timeout: try again
	KindExclusive       Kind = "exclusive"        // one process held an exclusive lock until the busy timeout
	KindUnlocked        Kind = "unlocked"         // written to while locked: locks do not reach the writer
	KindElsewhere       Kind = "wal_elsewhere"    // the application does not use the -wal beside it
	KindCorrupt         Kind = "corrupt"          // SQLite's check found damage
	KindCheckIncomplete Kind = "check_incomplete" // this build cannot run the check that was asked for
	KindNoSpace         Kind = "no_space"         // the temporary or destination directory is full
	KindTemp            Kind = "temp_io"          // the temporary or destination directory failed otherwise
	KindExists          Kind = "exists"           // the destination, or a file that belongs to it, exists
	KindSameFile        Kind = "same_file"        // source and destination are one file
	KindPattern         Kind = "bad_pattern"      // a pattern of FindOptions.Exclude is malformed
	KindBadQuery        Kind = "bad_query"        // a query is not one SELECT
	KindQuery           Kind = "query_failed"     // a query failed, or took too long
	KindInternal        Kind = "internal"         // a bug
)

// An Error is a failure of this package. Only the errors of contexts are returned as they are.
type Error struct {
	Kind     Kind
	Op       string   // what was tried: "open", "copy", "check", ...
	Path     string   // on which file, as the caller named it
	Err      error    // why
	Findings []string // under KindCorrupt, what SQLite's check found: at most ten lines
}

// Error returns one line: what was tried, on which file, and why it failed.
func (e *Error) Error() string { return fmt.Sprintf("%s %s: %v", e.Op, e.Path, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the error's [Kind], for [errors.Is].
func (e *Error) Is(target error) bool { return target == error(e.Kind) }

// tempError classifies an error of the temporary or destination directory.
func tempError(op, path string, err error) *Error {
	kind := KindTemp
	primary, _ := resultCode(err)
	switch {
	case errors.Is(err, fs.ErrExist):
		kind = KindExists
	case primary == codeFull, noSpace(err), noSpace(systemErrno(err)):
		kind = KindNoSpace
	}
	return &Error{Kind: kind, Op: op, Path: path, Err: describe(underlying(err))}
}

// sourceError classifies an error of opening or reading a source.
func sourceError(op, name string, err error) *Error {
	if known := (*Error)(nil); errors.As(err, &known) {
		return known
	}
	kind := KindUnreadable
	switch {
	case errors.Is(err, fs.ErrNotExist):
		kind, err = KindMissing, unix.ENOENT
	case errors.Is(err, sqlitefile.ErrNotDatabase):
		kind = KindNotDatabase
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		kind = KindTemp
	}
	return &Error{Kind: kind, Op: op, Path: name, Err: underlying(err)}
}

func inspectError(ctx context.Context, name string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return sourceError("inspect", name, err)
}

// databaseError classifies an error of SQLite on a source.
func databaseError(op, name string, err error) error {
	var known *Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	primary, extended := resultCode(err)
	kind := KindUnreadable
	switch {
	case errors.Is(err, errHotJournal), extended == codeReadonlyRollback:
		kind, err = KindHotJournal, errHotJournal
	case errors.Is(err, errElsewhere):
		kind = KindElsewhere
	case errors.Is(err, errUnlocked), errors.Is(err, errLayered):
		kind = KindUnlocked
	case isTransient(err):
		kind = KindBusy
	case primary == codeCorrupt:
		kind = KindCorrupt
	case primary == codeNotADB:
		kind, err = KindNotDatabase, fmt.Errorf("%w (encrypted?)", err)
	case primary == codeError:
		kind = KindNotDatabase
	}
	if outOfDescriptors(systemErrno(err)) {
		kind = KindTemp
	}
	e := &Error{Kind: kind, Op: op, Path: name, Err: describe(err)}
	if kind == KindCorrupt {
		e.Findings = []string{err.Error()}
	}
	return e
}

// copyError distinguishes a failing source from a failing copy: SQLite reports both through the
// backup.
func copyError(source, dst string, err error) error {
	primary, extended := resultCode(err)
	switch {
	case errors.Is(err, errNoProgress):
		return &Error{Kind: KindInternal, Op: "copy", Path: source, Err: err}
	case primary == codeFull, extended == codeReadonly, // a source that is read has another extended code
		primary == codeIO && extended != codeIORead && extended != codeIOShortRead && extended != codeIOCorruptFS:
		return tempError("write", dst, err)
	}
	return databaseError("copy", source, err)
}

// checkError classifies the failure of a check.
func checkError(name string, err error) error {
	var found *findings
	primary, _ := resultCode(err)
	e := &Error{Op: "check", Path: name, Err: err}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &found):
		e.Kind, e.Findings = KindCorrupt, found.list()
	case primary == codeCorrupt, primary == codeNotADB:
		e.Kind, e.Findings = KindCorrupt, []string{err.Error()}
	case primary == codeIO, primary == codeCantOpen, errors.Is(err, errSwapped):
		e.Kind, e.Err = KindTemp, describe(err)
	default:
		e.Kind, e.Err = KindCheckIncomplete, describe(err)
	}
	return e
}

// isTransient reports whether another connection may have caused err, so that a retry may succeed.
func isTransient(err error) bool {
	primary, extended := resultCode(err)
	switch extended {
	case codeReadonlyRecovery, codeReadonlyCantLock, codeReadonlyCantInit, codeReadonlyRollback:
		return true
	}
	return primary == codeBusy || primary == codeLocked || primary == codeProtocol ||
		errors.Is(err, osfile.ErrLocked) ||
		errors.Is(err, errHotJournal) || // or a change of the journal mode
		errors.Is(err, KindForeignFile) || // root's sqlite3 creates files and then gives them to their owner
		errors.Is(err, errDisturbed) || errors.Is(err, errUnlocked) || errors.Is(err, errLayered) ||
		errors.Is(err, errElsewhere)
}

// describe adds the extended result code, which the driver leaves out of its message.
func describe(err error) error {
	if _, extended := resultCode(err); extended != 0 {
		return fmt.Errorf("%w (SQLite code %d)", err, extended)
	}
	return err
}

// underlying strips the path from an error of the operating system: an Error names it itself.
func underlying(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	var linkError *os.LinkError
	if errors.As(err, &linkError) {
		return linkError.Err
	}
	return err
}

func noSpace(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}

func outOfDescriptors(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)
}

// isIOError reports whether SQLite could not open, read or write.
func isIOError(err error) bool {
	primary, _ := resultCode(err)
	return primary == codeIO || primary == codeFull || primary == codeCantOpen
}
