package integration

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/picture"
)

// A condition is a state in which a database is found. Each is made by its application, the user app, in a directory that
// belongs to it, and holds three rows, the last of them, where there is a WAL, there only.
var conditions = []struct {
	name   string
	verify int // what verify of the main file alone says: 0, or 3 where it is not all
	make   func(b *bench, db string) *session
}{
	{"WAL, live", 3, func(b *bench, db string) *session {
		return b.openAs(app, db, "PRAGMA journal_mode=WAL;", threeRows)
	}},
	{"WAL, cleanly closed", 0, func(b *bench, db string) *session {
		b.openAs(app, db, "PRAGMA journal_mode=WAL;", threeRows).Close()
		return nil
	}},
	{"WAL, crashed", 3, func(b *bench, db string) *session {
		b.openAs(app, db, "PRAGMA journal_mode=WAL;", threeRows).Kill()
		return nil
	}},
	{"WAL, crashed, without shm", 3, func(b *bench, db string) *session {
		b.openAs(app, db, "PRAGMA journal_mode=WAL;", threeRows).Kill()
		b.check(os.Remove(db + "-shm"))
		return nil
	}},
	{"rollback, live", 0, func(b *bench, db string) *session { return b.openAs(app, db, threeRows) }},
	{"rollback, closed", 0, func(b *bench, db string) *session {
		b.openAs(app, db, threeRows).Close()
		return nil
	}},
}

const threeRows = `CREATE TABLE t(x); INSERT INTO t VALUES(1); PRAGMA wal_checkpoint; INSERT INTO t VALUES(2); INSERT INTO t VALUES(3);`

// An observer is a user who backs up, and what that user may do in the directory.
var observers = []struct {
	name string
	uid  int
	mode fs.FileMode // of the directory
	wrap []string    // what starts the program; the directory follows
}{
	{"root", 0, 0o755, nil},
	{"root, read-only mount", 0, 0o755, []string{"unshare", "-m", "bash", "-c", `mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && ! touch "$0/x" 2>/dev/null && exec "$@"`}},
	{"foreign user", nobody, 0o777, nil},
	{"foreign user, read-only directory", nobody, 0o555, nil},
}

// backup, info and verify change nothing about a database and its directory, whoever runs them, whatever its state, and
// the application can still write. Commits that are only in the WAL are in the copy.
func TestSourceIsUntouched(t *testing.T) {
	for _, condition := range conditions {
		for _, observer := range observers {
			t.Run(condition.name+"/"+observer.name, func(t *testing.T) {
				b := newBench(t)
				dir := b.path("app")
				b.check(os.Mkdir(dir, 0o755))
				b.check(os.Chown(dir, app, app))
				db := filepath.Join(dir, "app.db")
				live := condition.make(b, db)
				b.check(os.Chmod(dir, observer.mode))
				if observer.wrap != nil {
					b.wrap = append(observer.wrap, dir)
				}
				b.become(observer.uid)
				b.observe(dir, db, condition.verify)
				b.check(os.Chmod(dir, 0o755))
				b.mustStillWrite(live, db)
			})
		}
	}
}

// become makes every later run of the program one of the user uid.
func (b *bench) become(uid int) {
	if uid == 0 {
		return
	}
	b.binary = b.path("sqlite-checkpoint") // where everybody can read it
	copyFile(b, binary, b.binary, 0o755)
	id := strconv.Itoa(uid)
	b.wrap = []string{tool(b, "setpriv"), "--reuid=" + id, "--regid=" + id, "--clear-groups"}
}

func (b *bench) observe(dir, db string, verify int) {
	b.Helper()
	before := picture.Take(b, dir)
	copied := b.run("backup", db, "-").exits(0)
	before.MustMatch(b, dir)
	b.run("info", db).exits(0)
	before.MustMatch(b, dir)
	b.run("verify", "--unproven", db).exits(verify)
	before.MustMatch(b, dir)
	b.write("copy.db", []byte(copied.stdout))
	if rows := b.sqlite("copy.db", "SELECT group_concat(x) FROM t;"); rows != "1,2,3" {
		b.Errorf("the copy has the rows %s", rows)
	}
}

// mustStillWrite is the application going on, or starting again.
func (b *bench) mustStillWrite(live *session, db string) {
	b.Helper()
	const write = "INSERT INTO t VALUES(4); SELECT count(*) FROM t;"
	rows := ""
	if live != nil {
		rows = live.run(write)
		live.Close()
	} else {
		rows = b.sqliteAs(app, db, write)
	}
	if rows != "4" {
		b.Errorf("the application sees %s rows, want 4", rows)
	}
}
