package engine

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"
)

// sqliteError is an error of SQLite with this extended code, caused by an error of the operating
// system unless that is 0.
func sqliteError(extended int, cause unix.Errno) error {
	return sqlite3.Error{
		Code: sqlite3.ErrNo(extended & 0xff), ExtendedCode: sqlite3.ErrNoExtended(extended), SystemErrno: cause,
	}
}

const (
	codeIOWrite     = 778
	codeInterrupted = 9
)

// TestKindsOfErrors: the kind of failure that each error becomes, where it happens.
func TestKindsOfErrors(t *testing.T) {
	at := map[string]func(error) error{
		"temp":  func(err error) error { return tempError("write", "x", err) },
		"open":  func(err error) error { return sourceError("open", "x", err) },
		"read":  func(err error) error { return databaseError("read", "x", err) },
		"copy":  func(err error) error { return copyError("x", "y", err) },
		"check": func(err error) error { return checkError("x", err) },
		"query": func(err error) error { return queryError("x", "SELECT 1", err) },
	}
	for _, c := range []struct {
		where string
		want  Kind
		errs  []error
	}{
		{"temp", KindExists, []error{unix.EEXIST}},
		{"temp", KindNoSpace, []error{unix.ENOSPC, unix.EDQUOT, unix.EFBIG, sqliteError(codeFull, 0),
			sqliteError(codeIOWrite, unix.ENOSPC), sqliteError(codeIOWrite, unix.EFBIG)}},
		{"temp", KindTemp, []error{unix.EIO, sqliteError(codeIOWrite, 0), sqliteError(codeIOWrite, unix.EIO)}},

		{"open", KindMissing, []error{&fs.PathError{Err: unix.ENOENT}}},
		{"open", KindNotDatabase, []error{fmt.Errorf("x: %w", sqlitefile.ErrNotDatabase)}},
		{"open", KindTemp, []error{unix.EMFILE, unix.ENFILE}},
		{"open", KindUnreadable, []error{unix.EACCES, unix.EIO}},
		{"open", KindChanged, []error{fmt.Errorf("x: %w", &Error{Kind: KindChanged, Err: unix.ENOENT})}},

		{"read", KindChanged, []error{&Error{Kind: KindChanged, Err: osfile.ErrLocked}}},
		{"read", KindHotJournal, []error{errHotJournal, sqliteError(codeReadonlyRollback, 0)}},
		{"read", KindElsewhere, []error{errElsewhere}},
		{"read", KindUnlocked, []error{errUnlocked, errLayered}},
		{"read", KindBusy, []error{osfile.ErrLocked, errDisturbed, sqliteError(codeBusy, 0), sqliteError(codeLocked, 0),
			sqliteError(codeProtocol, 0), sqliteError(codeReadonlyRecovery, 0), sqliteError(codeReadonlyCantLock, 0),
			sqliteError(codeReadonlyCantInit, 0)}},
		{"read", KindCorrupt, []error{sqliteError(codeCorrupt, 0)}},
		{"read", KindNotDatabase, []error{sqliteError(codeNotADB, 0), sqliteError(codeError, 0)}},
		{"read", KindTemp, []error{sqliteError(codeCantOpen, unix.EMFILE), sqliteError(codeCantOpen, unix.ENFILE)}},
		{"read", KindUnreadable, []error{sqliteError(codeCantOpen, unix.EACCES), sqliteError(codeIORead, 0),
			sqliteError(codeReadonlyDirectory, 0)}},

		{"copy", KindInternal, []error{errNoProgress}},
		{"copy", KindNoSpace, []error{sqliteError(codeFull, 0)}},
		{"copy", KindTemp, []error{sqliteError(codeReadonly, 0), sqliteError(codeIO, 0), sqliteError(codeIOWrite, 0)}},
		{"copy", KindUnreadable, []error{sqliteError(codeIORead, 0), sqliteError(codeIOShortRead, 0),
			sqliteError(codeIOCorruptFS, 0)}},
		{"copy", KindHotJournal, []error{sqliteError(codeReadonlyRollback, 0)}},
		{"copy", KindCorrupt, []error{sqliteError(codeCorrupt, 0)}},

		{"check", KindCorrupt, []error{&findings{[]string{"x"}}, sqliteError(codeCorrupt, 0),
			sqliteError(codeNotADB, 0)}},
		{"check", KindTemp, []error{sqliteError(codeIORead, 0), sqliteError(codeCantOpen, 0), errSwapped}},
		{"check", KindCheckIncomplete, []error{sqliteError(codeError, 0), errTooLong}},

		{"query", KindQuery, []error{sqliteError(codeError, 0), sqliteError(codeInterrupted, 0)}},
		{"query", KindCorrupt, []error{sqliteError(codeCorrupt, 0), sqliteError(codeNotADB, 0)}},
		{"query", KindTemp, []error{sqliteError(codeIORead, 0), sqliteError(codeCantOpen, 0), sqliteError(codeFull, 0),
			errSwapped}},
	} {
		for _, err := range c.errs {
			got := at[c.where](err)
			if got.(*Error).Kind != c.want {
				t.Errorf("%s: %v is %v, want %s", c.where, err, got, c.want)
			}
			if found := got.(*Error).Findings; (len(found) > 0) != (c.want == KindCorrupt) {
				t.Errorf("%s: %v has the findings %q", c.where, err, found)
			}
		}
	}
}

// TestTransient: these errors pass, so a backup tries again until its timeout.
func TestTransient(t *testing.T) {
	for want, errs := range map[bool][]error{
		true: {osfile.ErrLocked, errHotJournal, errDisturbed, errUnlocked, errLayered, errElsewhere,
			&Error{Kind: KindForeignFile}, sqliteError(codeBusy, 0), sqliteError(codeReadonlyRollback, 0)},
		false: {errReplaced, errNoProgress, &Error{Kind: KindNotOwner}, unix.EACCES, sqliteError(codeReadonly, 0),
			sqliteError(codeIORead, 0), sqliteError(codeCorrupt, 0)},
	} {
		for _, err := range errs {
			if isTransient(err) != want {
				t.Errorf("%v: %v", err, !want)
			}
		}
	}
	for _, code := range []int{codeIORead, codeFull, codeCantOpen} {
		if !isIOError(sqliteError(code, 0)) {
			t.Errorf("code %d is no I/O error", code)
		}
	}
}

// TestContextErrors: what the caller's context says is no failure of a file.
func TestContextErrors(t *testing.T) {
	for _, err := range []error{context.Canceled, context.DeadlineExceeded} {
		if got := databaseError("read", "x", err); got != err {
			t.Errorf("read: %v", got)
		}
		if got := checkError("x", err); got != err {
			t.Errorf("check: %v", got)
		}
	}
}

// TestErrorText: an error of SQLite has its code, and an error about a file names it once.
func TestErrorText(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{databaseError("read", "a.db", sqliteError(codeNotADB, 0)), "(encrypted?) (SQLite code 26)"},
		{databaseError("read", "a.db", sqliteError(codeIORead, 0)), "(SQLite code 266)"},
		{sourceError("open", "a.db", &fs.PathError{Op: "open", Path: "/a.db", Err: unix.EACCES}),
			"open a.db: permission denied"},
		{tempError("create", "a.db", &fs.PathError{Op: "open", Path: "/a.db", Err: unix.EACCES}),
			"create a.db: permission denied"},
		{tempError("create", "a.db", &os.LinkError{Op: "link", Old: "/a", New: "/a.db", Err: unix.EPERM}),
			"create a.db: operation not permitted"},
	} {
		if got := c.err.Error(); !strings.HasSuffix(got, c.want) {
			t.Errorf("%q, want ... %q", got, c.want)
		}
	}
}
