package engine

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/mattn/go-sqlite3"
)

// A conn is one raw SQLite connection, without the pool of database/sql. It must be used by one
// goroutine only.
type conn struct {
	*sqlite3.SQLiteConn
	dir *os.File // through which its path leads; nil if by name
}

// openConn opens exactly the file path, which must be absolute; parameters are SQLite's URI keys
// and the driver's. The driver reads the schema while it opens, so every error a database can cause
// may come from here.
func openConn(path string, parameters ...string) (*conn, error) {
	c, err := (&sqlite3.SQLiteDriver{}).Open("file:" + escapePath(path) + "?" + strings.Join(parameters, "&"))
	if err != nil {
		return nil, err
	}
	return &conn{SQLiteConn: c.(*sqlite3.SQLiteConn)}, nil
}

// maxPath is the longest path that SQLite opens, in bytes: that of its journal must not exceed 512.
const maxPath = 512 - len("-journal")

// ErrPathTooLong is the cause of an [Error] about a file whose absolute path, without symbolic
// links, is too long for SQLite.
var ErrPathTooLong = fmt.Errorf("its path is longer than %d bytes, the most that SQLite opens", maxPath)

func checkPathLength(path string) error {
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	if absolute, err := filepath.Abs(path); err != nil || len(absolute) <= maxPath {
		return nil
	}
	return ErrPathTooLong
}

// escapePath encodes every byte that could mean something in a URI, so that no file name is ever
// read as options. See https://www.sqlite.org/uri.html.
func escapePath(path string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-"
	var b strings.Builder
	for i := range len(path) {
		if strings.IndexByte(plain, path[i]) >= 0 {
			b.WriteByte(path[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", path[i])
		}
	}
	return b.String()
}

func (c *conn) exec(ctx context.Context, sql string) error {
	_, err := c.ExecContext(ctx, sql, nil)
	return err
}

// query returns all rows of a statement that has few.
func (c *conn) query(ctx context.Context, sql string) ([][]driver.Value, error) {
	rows, err := c.QueryContext(ctx, sql, nil)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all [][]driver.Value
	for {
		row := make([]driver.Value, len(rows.Columns()))
		err := rows.Next(row)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, row)
	}
}

func (c *conn) queryInt(ctx context.Context, sql string) (int64, error) {
	rows, err := c.query(ctx, sql)
	if err != nil {
		return 0, err
	}
	if len(rows) == 1 && len(rows[0]) == 1 {
		if n, ok := rows[0][0].(int64); ok {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%s: unexpected answer %v", sql, rows)
}

// queryStrings returns the first column.
func (c *conn) queryStrings(ctx context.Context, sql string) ([]string, error) {
	rows, err := c.query(ctx, sql)
	all := make([]string, 0, len(rows))
	for _, row := range rows {
		all = append(all, fmt.Sprint(row[0]))
	}
	return all, err
}

// SQLite's result codes. See https://www.sqlite.org/rescode.html.
const (
	codeError    = 1
	codeBusy     = 5
	codeLocked   = 6
	codeReadonly = 8
	codeIO       = 10
	codeCorrupt  = 11
	codeFull     = 13
	codeCantOpen = 14
	codeProtocol = 15 // too many connections raced for the wal-index
	codeTooBig   = 18
	codeNotADB   = 26

	codeReadonlyRecovery  = 264  // the wal-index is being rebuilt by a writer
	codeReadonlyCantLock  = 520  // the wal-index cannot be locked just now
	codeReadonlyRollback  = 776  // a hot journal
	codeReadonlyCantInit  = 1288 // the wal-index is not ready yet
	codeReadonlyDirectory = 1544
	codeIORead            = 266
	codeIOShortRead       = 522
	codeIOCorruptFS       = 8458
)

// resultCode returns SQLite's primary and extended code for err; the driver has the extended one in
// either of two places. Both are 0 if err is not SQLite's.
func resultCode(err error) (primary, extended int) {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return 0, 0
	}
	extended = int(e.ExtendedCode)
	if extended == 0 {
		extended = int(e.Code)
	}
	return extended & 0xff, extended
}

// systemErrno returns the operating system's error behind an error of SQLite, 0 if there is none.
func systemErrno(err error) syscall.Errno {
	var e sqlite3.Error
	errors.As(err, &e)
	return e.SystemErrno
}

// SQLiteVersion returns the version of the compiled-in SQLite, such as "3.51.3".
func SQLiteVersion() string {
	version, _, _ := sqlite3.Version()
	return version
}

// Modules returns the virtual table modules of the compiled-in SQLite, sorted.
func Modules() ([]string, error) {
	c, err := openConn("/", "mode=memory")
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.queryStrings(context.Background(), "SELECT DISTINCT name FROM pragma_module_list ORDER BY name")
}
