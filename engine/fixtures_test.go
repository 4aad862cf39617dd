package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fill creates a table with n rows; how the shell is closed decides what becomes of the WAL.
func fill(n int) string {
	return fmt.Sprintf(`CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); CREATE INDEX tv ON t(v);
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<%d)
INSERT INTO t SELECT i, hex(randomblob(40)) FROM c;`, n)
}

const addRows = `INSERT INTO t(v) SELECT v||'x' FROM t LIMIT 100;`

// newWAL makes a WAL database of 500 rows that was closed cleanly.
func newWAL(t testing.TB) string {
	t.Helper()
	db := filepath.Join(t.TempDir(), "app.db")
	sqlite(t, db, "PRAGMA journal_mode=WAL;", fill(500))
	return db
}

func newRollback(t testing.TB) string {
	t.Helper()
	db := filepath.Join(t.TempDir(), "app.db")
	sqlite(t, db, fill(500))
	return db
}

// snapshot takes a snapshot with a new temporary directory and returns its image; nothing may be
// left behind.
func snapshot(t testing.TB, source string, opts SnapshotOptions) ([]byte, Info, error) {
	t.Helper()
	opts.TempDir = t.TempDir()
	s, err := TakeSnapshot(context.Background(), source, opts)
	if err == nil {
		defer s.Close()
		if names, _ := os.ReadDir(opts.TempDir); len(names) > 0 {
			t.Errorf("the copy still has a name when it can be read: %v", names)
		}
		image, readErr := io.ReadAll(s)
		h, hashErr := s.Hash()
		if readErr != nil || hashErr != nil {
			t.Fatal(readErr, hashErr)
		}
		if int64(len(image)) != s.Size() || len(h.Sum(nil)) != 32 {
			t.Errorf("read %d bytes of %d", len(image), s.Size())
		}
		if names, _ := os.ReadDir(opts.TempDir); len(names) > 0 {
			t.Errorf("left behind: %v", names)
		}
		return image, s.Info(), nil
	}
	if names, _ := os.ReadDir(opts.TempDir); len(names) > 0 {
		t.Errorf("left behind after %v: %v", err, names)
	}
	return nil, Info{}, err
}

// rows counts the rows of t in an image.
func rows(t testing.TB, image []byte) string {
	t.Helper()
	db := filepath.Join(t.TempDir(), "image.db")
	if err := os.WriteFile(db, image, 0o600); err != nil {
		t.Fatal(err)
	}
	return sqlite(t, db, "PRAGMA integrity_check;", "SELECT count(*) FROM t;")
}

func wantKind(t testing.TB, err error, kind Kind) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("got error %v, want kind %s", err, kind)
	}
	if strings.Contains(e.Error(), "\n") {
		t.Errorf("not one line: %q", e.Error())
	}
	return e
}

// crashed copies a live WAL database of 600 rows, 100 of which are only in the WAL.
func crashed(t testing.TB, suffixes ...string) string {
	t.Helper()
	db := newWAL(t)
	open(t, db, addRows)
	return copyDatabase(t, db, suffixes...)
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// hot copies a rollback database in the middle of a transaction whose cache has spilled.
func hot(t testing.TB) string {
	t.Helper()
	db := newRollback(t)
	open(t, db, "PRAGMA cache_size=5;", "BEGIN;", "UPDATE t SET v = v || 'y';")
	return copyDatabase(t, db, "-journal")
}
