package recipes

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// A site is a machine as the examples expect it: a live database with a row that is only in its
// WAL, a restic repository, a directory for copies and reports. Its paths stand for those that all
// examples share.
type site struct {
	*harness.Bench
	live  *harness.Session
	paths *strings.Replacer
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{Bench: harness.NewBench(t)}
	restic := harness.Tool(t, "bin/restic")
	for _, dir := range []string{"app", "etc", "state"} {
		s.Check(os.Mkdir(s.Path(dir), 0o755))
	}
	s.Write("etc/restic-password", []byte("test\n"))
	s.NewDatabase("app/app.db", 100)
	s.live = s.Open("app/app.db", "PRAGMA journal_mode=WAL;", "INSERT INTO t VALUES(NULL, 'in the WAL');")
	s.ResticRepository()
	s.paths = strings.NewReplacer(
		"/data", s.Path("app"),
		"/etc/sqlite-checkpoint", s.Path("etc"),
		"/srv/app", s.Path("app"),
		"/srv/borg", s.Path("borg"),
		"/state", s.Path("state"),
		"/srv/restic", s.Path("repository"),
		"/var/backups/app", s.Path("copies"),
		"/usr/bin/restic", restic,
		"/usr/local/bin/sqlite-checkpoint", harness.Binary,
		"/usr/local/bin:", harness.Path()+":",
		"/var/lib/sqlite-checkpoint", s.Path("state"),
	)
	return s
}

// example returns a file of the examples, adapted to the site.
func (s *site) example(name string) string {
	s.Helper()
	data, err := os.ReadFile("../examples/" + name)
	s.Check(err)
	return s.paths.Replace(string(data))
}

// broken returns a command for a database that does not exist.
func (s *site) broken(command string) string {
	s.Helper()
	db := s.Path("app/app.db")
	if !strings.Contains(command, db) {
		s.Fatalf("%s: no %s", command, db)
	}
	return strings.ReplaceAll(command, db, s.Path("app/missing.db"))
}

// snapshots returns how many there are in the restic repository.
func (s *site) snapshots() int {
	s.Helper()
	var all []any
	s.Check(json.Unmarshal([]byte(s.Bash("restic snapshots --json").Exits(0).Stdout), &all))
	return len(all)
}

// mustHave restores the newest snapshot of a stream and checks it.
func (s *site) mustHave(name string) {
	s.Helper()
	s.Bash("rm -f new.db* && restic dump --path '" + name + "' latest '" + name +
		"' | sqlite-checkpoint restore - new.db").Exits(0)
	s.mustBeWhole("new.db")
}

// mustHaveCopy does the same for a plain copy in the directory of copies.
func (s *site) mustHaveCopy() {
	s.Helper()
	s.Bash("rm -rf back && restic restore latest --target back").Exits(0)
	copied := "back" + s.Path("state/app.db")
	s.Run("verify", copied).Exits(0)
	s.mustBeWhole(copied)
}

func (s *site) mustBeWhole(db string) {
	s.Helper()
	if rows := s.SQLite(db, "SELECT count(*) FROM t; PRAGMA integrity_check;"); rows != "101\nok" {
		s.Errorf("%s has %q", db, rows)
	}
}

// mustBackUp runs a command that makes a snapshot of the stream name, and fails without one if
// there is no database.
func (s *site) mustBackUp(name, command string, run func(command string) harness.Outcome) {
	s.Helper()
	run(command).Exits(0)
	if n := s.snapshots(); n != 1 {
		s.Errorf("%s: %d snapshots, want 1", command, n)
	}
	s.mustHave(name)
	if o := run(s.broken(command)); o.Code == 0 || o.Stderr == "" || s.snapshots() != 1 {
		s.Errorf("%s: exit status %d and %d snapshots\n%s", o.Command, o.Code, s.snapshots(), o.Stderr)
	}
}

// mustBackUpChanges runs a watch --once: it makes a snapshot only if something was committed, and
// after a failure the next run makes it.
func (s *site) mustBackUpChanges(argv []string) {
	s.Helper()
	argv = once(strings.Split(s.paths.Replace(strings.Join(argv, "\x00")), "\x00"))
	run := func(snapshots int, env ...string) harness.Outcome {
		s.Helper()
		cmd := s.Other(slices.Concat([]string{"env"}, env, argv)...)
		o := s.Finish(cmd)
		if n := s.snapshots(); n != snapshots {
			s.Errorf("%s: %d snapshots, want %d\n%s", o.Command, n, snapshots, o.Stderr)
		}
		return o
	}
	run(1).Exits(0)
	s.mustHave(s.Path("app/app.db"))
	run(1).Exits(0)
	s.live.Run("UPDATE t SET id=id;")
	if o := run(1, "RESTIC_PASSWORD=wrong"); o.Code == 0 {
		s.Errorf("%s: exit status 0 with a wrong password", o.Command)
	}
	run(2).Exits(0)
	s.mustHave(s.Path("app/app.db"))
}
