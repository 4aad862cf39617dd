package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"

	"github.com/mattn/go-sqlite3"
)

// rowsSQL makes a table of n rows with an index.
func rowsSQL(n int) string {
	return fmt.Sprintf(`CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); CREATE INDEX tv ON t(v);
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<%d)
INSERT INTO t SELECT i, hex(randomblob(40)) FROM c;`, n)
}

const moreRows = `INSERT INTO t(v) SELECT v||'x' FROM t LIMIT 100;`

// rollback makes the source a database of 500 rows in rollback mode.
func (s *scene) rollback() { s.Helper(); s.SQLite(s.db, rowsSQL(500)) }

// wal makes the source a database of 500 rows in WAL mode, cleanly closed.
func (s *scene) wal() { s.Helper(); s.SQLite(s.db, "PRAGMA journal_mode=WAL;", rowsSQL(500)) }

// crashed makes the source a WAL database of 600 rows as a crash leaves it: 100 of them are only in
// the WAL.
func (s *scene) crashed(suffixes ...string) {
	s.Helper()
	s.crashedOf("PRAGMA journal_mode=WAL;"+rowsSQL(500), suffixes...)
}

func (s *scene) crashedOf(statements string, suffixes ...string) {
	s.Helper()
	live := filepath.Join(s.Root, "live.db")
	s.SQLite(live, statements)
	app := s.Open(live, moreRows)
	s.copyFiles(live, append([]string{""}, suffixes...)...)
	app.Kill()
}

// hot makes the source a database with a hot journal.
func (s *scene) hot() {
	s.Helper()
	live := filepath.Join(s.Root, "live.db")
	s.SQLite(live, rowsSQL(500))
	app := s.Open(live, "PRAGMA cache_size=5;", "BEGIN;", "UPDATE t SET v = v || 'y';")
	s.copyFiles(live, "", "-journal")
	app.Kill()
}

// copyFiles copies the files of the database from, those that exist, to the source.
func (s *scene) copyFiles(from string, suffixes ...string) {
	s.Helper()
	for _, suffix := range suffixes {
		data, err := os.ReadFile(from + suffix)
		if os.IsNotExist(err) {
			continue
		}
		s.Check(err)
		s.Check(os.WriteFile(s.db+suffix, data, 0o644))
	}
}

// patch overwrites some bytes of the source.
func (s *scene) patch(offset int64, b ...byte) {
	s.Helper()
	f, err := os.OpenFile(s.db, os.O_WRONLY, 0)
	s.Check(err)
	defer f.Close()
	_, err = f.WriteAt(b, offset)
	s.Check(err)
}

// driver runs statements through the driver, for what the shell cannot make.
func (s *scene) driver(prepare func(c *sqlite3.SQLiteConn) error, statements ...string) {
	s.Helper()
	opened, err := (&sqlite3.SQLiteDriver{}).Open("file:" + s.db + "?mode=rwc")
	s.Check(err)
	c := opened.(*sqlite3.SQLiteConn)
	defer c.Close()
	if prepare != nil {
		s.Check(prepare(c))
	}
	for _, statement := range statements {
		if _, err := c.Exec(statement, nil); err != nil {
			s.Fatalf("%s: %v", statement, err)
		}
	}
}

// save writes an image or a raw stream to a file, to be opened as a database.
func (s *scene) save(data []byte) string {
	s.Helper()
	f, err := os.CreateTemp(s.Root, "image")
	s.Check(err)
	defer f.Close()
	_, err = f.Write(data)
	s.Check(err)
	return f.Name()
}

// holds checks that the stream is an undamaged database in which the query has this answer.
func (o *aftermath) holds(query, want string) {
	o.Helper()
	if o.code != 0 {
		return
	}
	if got := o.SQLite(o.save(o.stdout), "PRAGMA integrity_check;", query); got != "ok\n"+want {
		o.Errorf("the image says %q, want %q", got, want)
	}
}

func (o *aftermath) hasRows(n int) { o.Helper(); o.holds("SELECT count(*) FROM t;", fmt.Sprint(n)) }

// warns checks that stderr has this text, and not as an error.
func (o *aftermath) warns(text string) {
	o.Helper()
	if !strings.Contains(o.stderr, text) {
		o.Errorf("it does not warn of %q: %s", text, o.stderr)
	}
}

// own gives all files of the source to the application, in a directory that everybody can write to.
func (s *scene) own(mode os.FileMode) {
	s.Helper()
	s.Check(os.Chmod(s.source, 0o777))
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if _, err := os.Lstat(s.db + suffix); err == nil {
			s.Check(os.Chown(s.db+suffix, harness.App, harness.App))
			s.Check(os.Chmod(s.db+suffix, mode))
		}
	}
	s.Check(os.Chown(s.source, harness.App, harness.App))
}

// stillWrites checks that the application can open the source, has lost nothing, and can write.
func (s *scene) stillWrites(rows int) {
	s.Helper()
	uid := uint32(0)
	if info, err := os.Stat(s.db); err == nil && info.Sys().(*syscall.Stat_t).Uid == harness.App {
		uid = harness.App
	}
	out, err := s.TrySQLite(uid, s.db, ".timeout 10000", "PRAGMA integrity_check;", "SELECT count(*) FROM t;",
		"INSERT INTO t(v) VALUES('after');", "SELECT changes();")
	if err != nil || out != fmt.Sprintf("ok\n%d\n1", rows) {
		s.Errorf("the application's next open says %q (%v), want %d rows and a write", out, err, rows)
	}
}
