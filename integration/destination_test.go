package integration

import (
	"os"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/picture"
)

// A destination that is taken, by whatever and under whatever name, is refused before any work: the source is locked,
// and would have been waited for.
func TestDestinationRefused(t *testing.T) {
	for _, dest := range []struct{ name, prepare string }{
		{"copy.db", `echo mine >copy.db`},
		{"copy.db", `mkdir copy.db`},
		{"copy.db", `ln -s nowhere copy.db`},
		{"copy.db", `touch copy.db-wal`},
		{"copy.db", `touch copy.db-shm`},
		{"copy.db", `touch copy.db-journal`},
		{"copy.db", `echo mine >copy.db.sha256`},
		{"copy.db", `ln -s nowhere copy.db.sha256`},
		{"app.db", `:`},
		{"./app.db", `:`},
		{"sub/../app.db", `mkdir sub`},
		{"hard.db", `ln app.db hard.db`},
		{"soft.db", `ln -s app.db soft.db`},
		{"sub/app.db", `ln -s . sub`},
		{"/proc/self/cwd/app.db", `:`},
	} {
		t.Run(dest.name+" "+dest.prepare, func(t *testing.T) {
			b := newBench(t)
			b.newDatabase("app.db", 10)
			b.bash(dest.prepare).exits(0)
			b.open("app.db", "BEGIN EXCLUSIVE;")
			before := picture.Take(t, b.dir)
			for _, command := range []string{"backup", "snapshot"} {
				o := b.run(command, "--json", "--busy-timeout", "5m", "app.db", dest.name).exits(9).silent().soon()
				if message, _ := o.json()["message"].(string); message == "" {
					t.Errorf("no message: %s", o.stderr)
				}
				before.MustMatch(t, b.dir)
			}
		})
	}
}

// So is a source that calls itself destination.
func TestSourceByAnotherName(t *testing.T) {
	b := newBench(t)
	b.newDatabase("app.db", 10)
	b.check(os.Symlink("app.db", b.path("link.db")))
	before := picture.Take(t, b.dir)
	b.run("backup", "link.db", "app.db").exits(9)
	b.run("snapshot", "link.db", "link.db").exits(9)
	b.run("restore", "--unproven", "app.db", "app.db").exits(9)
	b.run("restore", "--unproven", "link.db", "app.db").exits(9)
	before.MustMatch(t, b.dir)
}

// What stands beside a restored database would become a part of it.
func TestRestoreRefused(t *testing.T) {
	b := newBench(t)
	b.newDatabase("app.db", 10)
	stream := []byte(b.run("backup", "app.db", "-").exits(0).stdout)
	for _, prepare := range []string{
		`echo mine >new.db`, `mkdir new.db`, `ln -s nowhere new.db`, `touch new.db-wal`, `echo stale >new.db-wal`, `touch new.db-shm`,
		`echo stale >new.db-journal`, `ln -s nowhere new.db-journal`,
	} {
		b.bash(prepare).exits(0)
		before := picture.Take(t, b.dir)
		b.feed(stream, "restore", "-", "new.db").exits(9).silent().says("hint: ", "new.db")
		before.MustMatch(t, b.dir)
		b.bash(`rm -r new.db*`).exits(0)
	}
	b.feed(stream, "restore", "-", "new.db").exits(0)
}
