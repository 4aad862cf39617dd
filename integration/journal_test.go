package integration

import (
	"os"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/picture"
)

// A rollback journal left by a crash is refused, with advice, and left as it is.
func TestHotJournal(t *testing.T) {
	b := newBench(t)
	b.check(os.Mkdir(b.path("app"), 0o755))
	s := b.open("app/app.db", "CREATE TABLE t(x);", "INSERT INTO t SELECT 1 FROM generate_series(1, 20000);")
	s.run("PRAGMA cache_size=5;", "BEGIN;", "UPDATE t SET x = 2;")
	s.Kill()
	before := picture.Take(t, b.path("app"))
	for _, command := range []string{"backup", "snapshot"} {
		o := b.run(command, "--json", "--busy-timeout", "300ms", "app/app.db", "-").exits(3).silent().says("with its application")
		o.json().mustBe(t, answer{"kind": "hot_journal", "code": 3})
		before.MustMatch(t, b.path("app"))
	}
	b.run("--json", "info", "app/app.db").exits(0).json().mustBe(t, answer{"journal": "hot"})
	before.MustMatch(t, b.path("app"))
	if sum := b.sqlite("app/app.db", "SELECT sum(x) FROM t;"); sum != "20000" {
		t.Errorf("after the rollback the sum is %s", sum)
	}
	b.run("backup", "app/app.db", "copy.db").exits(0)
}

// A transaction in rollback mode that has outgrown its cache keeps readers out for as long as it lasts.
func TestLongTransaction(t *testing.T) {
	b := newBench(t)
	s := b.open("app.db", "CREATE TABLE t(x);", "INSERT INTO t SELECT 1 FROM generate_series(1, 20000);")
	s.run("PRAGMA cache_size=5;", "BEGIN;", "UPDATE t SET x = 2;")
	b.run("backup", "--busy-timeout", "100ms", "app.db", "early.db").exits(4).says("try again")
	p := b.start("backup", "--busy-timeout", "5m", "app.db", "copy.db")
	eventually(t, "the backup waits", func() bool { return len(b.private()) > 0 })
	s.run("COMMIT;")
	p.wait().exits(0)
	if sum := b.sqlite("copy.db", "SELECT sum(x) FROM t;"); sum != "40000" {
		t.Errorf("the sum in the copy is %s", sum)
	}
}
