package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"

	"github.com/mattn/go-sqlite3"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// rowsSQL makes a table of n rows with an index.
func rowsSQL(n int) string {
	return fmt.Sprintf(`CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); CREATE INDEX tv ON t(v);
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<%d) INSERT INTO t SELECT i, hex(randomblob(40)) FROM c;`, n)
}

const moreRows = `INSERT INTO t(v) SELECT v||'x' FROM t LIMIT 100;`

// sql runs statements in a sqlite3 shell of their own and returns what it prints. Dot commands go on a line each.
func (s *scene) sql(db string, statements ...string) string {
	s.Helper()
	out, err := s.trySQL(nil, db, statements...)
	if err != nil {
		s.Fatalf("sqlite3 %s: %v\n%s", db, err, out)
	}
	return out
}

// trySQL is sql that may fail, under another program (setpriv ...) if there is one.
func (s *scene) trySQL(under []string, db string, statements ...string) (string, error) {
	return testkit.RunShell(s.sqlite3(under, "-bail", db), statements...)
}

// sqlite3 is a stock shell, under another program if there is one.
func (s *scene) sqlite3(under []string, args ...string) *exec.Cmd {
	argv := slices.Concat(under, []string{harness.Tool(s.T, "sqlite3"), "-batch"}, args)
	return exec.Command(argv[0], argv[1:]...)
}

// rollback makes the source a database of 500 rows in rollback mode.
func (s *scene) rollback() { s.Helper(); s.sql(s.db, rowsSQL(500)) }

// wal makes the source a database of 500 rows in WAL mode, cleanly closed.
func (s *scene) wal() { s.Helper(); s.sql(s.db, "PRAGMA journal_mode=WAL;", rowsSQL(500)) }

// crashed makes the source a WAL database of 600 rows as a crash leaves it: 100 of them are only in the WAL.
func (s *scene) crashed(suffixes ...string) {
	s.Helper()
	s.crashedOf("PRAGMA journal_mode=WAL;"+rowsSQL(500), suffixes...)
}

func (s *scene) crashedOf(statements string, suffixes ...string) {
	s.Helper()
	live := filepath.Join(s.root, "live.db")
	s.sql(live, statements)
	app := s.application(live, moreRows)
	s.copyFiles(live, append([]string{""}, suffixes...)...)
	app.Kill()
}

// hot makes the source a database with a hot journal.
func (s *scene) hot() {
	s.Helper()
	live := filepath.Join(s.root, "live.db")
	s.sql(live, rowsSQL(500))
	app := s.application(live, "PRAGMA cache_size=5;", "BEGIN;", "UPDATE t SET v = v || 'y';")
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
		s.must(err)
		s.must(os.WriteFile(s.db+suffix, data, 0o644))
	}
}

func (s *scene) write(path string, data []byte) { s.Helper(); s.must(os.WriteFile(path, data, 0o644)) }

func (s *scene) readFile(path string) []byte {
	s.Helper()
	data, err := os.ReadFile(path)
	s.must(err)
	return data
}

// patch overwrites some bytes of the source.
func (s *scene) patch(offset int64, b ...byte) {
	s.Helper()
	f, err := os.OpenFile(s.db, os.O_WRONLY, 0)
	s.must(err)
	defer f.Close()
	_, err = f.WriteAt(b, offset)
	s.must(err)
}

// driver runs statements through the driver, for what the shell cannot make.
func (s *scene) driver(prepare func(c *sqlite3.SQLiteConn) error, statements ...string) {
	s.Helper()
	opened, err := (&sqlite3.SQLiteDriver{}).Open("file:" + s.db + "?mode=rwc")
	s.must(err)
	c := opened.(*sqlite3.SQLiteConn)
	defer c.Close()
	if prepare != nil {
		s.must(prepare(c))
	}
	for _, statement := range statements {
		if _, err := c.Exec(statement, nil); err != nil {
			s.Fatalf("%s: %v", statement, err)
		}
	}
}

// save puts an image or a raw stream into a file, to be opened as the database that it is.
func (s *scene) save(data []byte) string {
	s.Helper()
	f, err := os.CreateTemp(s.root, "image")
	s.must(err)
	defer f.Close()
	_, err = f.Write(data)
	s.must(err)
	return f.Name()
}

// holds checks that the stream is a sound database in which the query has this answer.
func (o *aftermath) holds(query, want string) {
	o.Helper()
	if o.code != 0 {
		return
	}
	if got := o.sql(o.save(o.stdout), "PRAGMA integrity_check;", query); got != "ok\n"+want {
		o.Errorf("the image says %q, want %q", got, want)
	}
}

func (o *aftermath) hasRows(n int) { o.Helper(); o.holds("SELECT count(*) FROM t;", fmt.Sprint(n)) }

// warns checks that stderr says something that is no error.
func (o *aftermath) warns(text string) {
	o.Helper()
	if !strings.Contains(o.stderr, text) {
		o.Errorf("it does not warn of %q: %s", text, o.stderr)
	}
}

// application is a stock shell that keeps its connection until the test ends.
func (s *scene) application(db string, statements ...string) *harness.Session {
	s.Helper()
	return s.applicationAs(nil, db, statements...)
}

func (s *scene) applicationAs(under []string, db string, statements ...string) *harness.Session {
	s.Helper()
	return harness.OpenSession(s.T, s.sqlite3(under, db), statements...)
}

// own gives all files of the source to the application, in a directory that everybody can write to.
func (s *scene) own(mode os.FileMode) {
	s.Helper()
	s.must(os.Chmod(s.source, 0o777))
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if _, err := os.Lstat(s.db + suffix); err == nil {
			s.must(os.Chown(s.db+suffix, harness.App, harness.App))
			s.must(os.Chmod(s.db+suffix, mode))
		}
	}
	s.must(os.Chown(s.source, harness.App, harness.App))
}

// stillWrites checks that the application can open the source, has lost nothing, and can write.
func (s *scene) stillWrites(rows int) {
	s.Helper()
	var under []string
	if info, err := os.Stat(s.db); err == nil && info.Sys().(*syscall.Stat_t).Uid == harness.App {
		under = s.user(harness.App)
	}
	out, err := s.trySQL(under, s.db, ".timeout 10000", "PRAGMA integrity_check;", "SELECT count(*) FROM t;", "INSERT INTO t(v) VALUES('after');", "SELECT changes();")
	if err != nil || out != fmt.Sprintf("ok\n%d\n1", rows) {
		s.Errorf("the application's next open says %q (%v), want %d rows and a write", out, err, rows)
	}
}
