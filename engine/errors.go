package engine

import (
	"errors"
	"fmt"
)

// A Kind says what sort of failure an [Error] is, so that a caller can decide whether to try again, to look at the
// database, or to look at the disk.
type Kind string

const (
	KindMissing         Kind = "missing"          // the source is not there
	KindNotDatabase     Kind = "not_a_database"   // the source is not a SQLite database, or an encrypted one
	KindUnreadable      Kind = "unreadable"       // the source cannot be read: permission, I/O error
	KindHotJournal      Kind = "hot_journal"      // a crash left a rollback journal that must be played back first
	KindChanged         Kind = "changed"          // the source was replaced, removed or cut while it was copied
	KindInProcess       Kind = "open_in_process"  // this process already has the database open
	KindNotOwner        Kind = "not_owner"        // files would be made that the application could not write
	KindForeignFile     Kind = "foreign_file"     // a -wal, -shm or -journal that the application cannot have made: a link, another owner's
	KindBusy            Kind = "busy"             // locked, or changing too fast, until the busy timeout: try again
	KindExclusive       Kind = "exclusive"        // one process has held it exclusively until the busy timeout
	KindUnlocked        Kind = "unlocked"         // written to although it was locked: locks do not reach its writer
	KindElsewhere       Kind = "wal_elsewhere"    // its application keeps the -wal under another name, or it was deleted
	KindCorrupt         Kind = "corrupt"          // SQLite's check found damage
	KindCheckIncomplete Kind = "check_incomplete" // the check that was asked for cannot be done here
	KindNoSpace         Kind = "no_space"         // the temporary or destination directory is full
	KindTemp            Kind = "temp_io"          // the temporary or destination directory failed otherwise
	KindExists          Kind = "exists"           // the destination, or a file that belongs to it, exists
	KindSameFile        Kind = "same_file"        // source and destination are one file
	KindPattern         Kind = "bad_pattern"      // a pattern of FindOptions.Exclude is malformed
	KindBadQuery        Kind = "bad_query"        // a query is not one SELECT
	KindQuery           Kind = "query_failed"     // a query could not be answered, or not in time
	KindInternal        Kind = "internal"         // cannot happen
)

// An Error is every failure of this package but a context's own error.
type Error struct {
	Kind     Kind
	Op       string   // what was tried: "open", "copy", "check", ...
	Path     string   // on which file, as the caller named it
	Err      error    // why
	Findings []string // under KindCorrupt, what SQLite's check found: at most ten lines
}

func (e *Error) Error() string { return fmt.Sprintf("%s %s: %v", e.Op, e.Path, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// IsKind tells whether err is, or wraps, an Error of the kind.
func IsKind(err error, kind Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == kind
}
