// Package sqlite3 has the types of the SQLite driver without SQLite: with it the program compiles
// for systems for which this one has no C compiler. See make check.
package sqlite3

import (
	"context"
	"database/sql/driver"
	"syscall"
)

type (
	SQLiteDriver struct{ ConnectHook func(*SQLiteConn) error }
	SQLiteConn   struct{ driver.Conn }
	SQLiteStmt   struct{ driver.Stmt }
	SQLiteBackup struct{}

	ErrNo         int
	ErrNoExtended int
	Error         struct {
		Code         ErrNo
		ExtendedCode ErrNoExtended
		SystemErrno  syscall.Errno
	}
)

const (
	ErrBusy   = ErrNo(5)
	ErrLocked = ErrNo(6)

	SQLITE_LIMIT_LENGTH              = 0
	SQLITE_LIMIT_ATTACHED            = 7
	SQLITE_LIMIT_LIKE_PATTERN_LENGTH = 8
)

func Version() (name string, number int, source string) { return "", 0, "" }

func (Error) Error() string { return "" }

func (SQLiteDriver) Open(string) (driver.Conn, error) { return nil, nil }

func (*SQLiteConn) SetLimit(int, int) int { return 0 }

func (*SQLiteConn) RegisterCollation(string, func(a, b string) int) error { return nil }

func (*SQLiteConn) Exec(string, []driver.Value) (driver.Result, error) { return nil, nil }

func (*SQLiteConn) Backup(string, *SQLiteConn, string) (*SQLiteBackup, error) { return nil, nil }

func (*SQLiteConn) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return nil, nil
}

func (*SQLiteConn) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return nil, nil
}

func (*SQLiteConn) PrepareContext(context.Context, string) (driver.Stmt, error) { return nil, nil }

func (*SQLiteBackup) Step(int) (bool, error) { return false, nil }
func (*SQLiteBackup) Remaining() int         { return 0 }
func (*SQLiteBackup) PageCount() int         { return 0 }
func (*SQLiteBackup) Finish() error          { return nil }
func (*SQLiteBackup) Close() error           { return nil }

func (*SQLiteStmt) Readonly() bool { return false }
