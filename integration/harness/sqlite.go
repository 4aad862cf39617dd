package harness

import (
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// app is the user who owns the databases where that matters; nobody is another one.
const (
	App    = 1000
	Nobody = 65534
)

// As makes cmd run as the user uid, unless that is this process's.
func As(uid uint32, cmd *exec.Cmd) *exec.Cmd {
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	return cmd
}

// SQLite runs statements in a stock shell and returns what it prints. db is relative to the bench.
func (b *Bench) SQLite(db string, statements ...string) string {
	b.Helper()
	out, err := b.TrySQLite(0, db, statements...)
	if err != nil {
		b.Fatalf("sqlite3 %s: %v\n%s", db, err, out)
	}
	return out
}

// TrySQLite is SQLite as a user, and may fail.
func (b *Bench) TrySQLite(uid uint32, db string, statements ...string) (string, error) {
	return testkit.RunShell(As(uid, b.shell(db, "-bail")), statements...)
}

func (b *Bench) shell(db string, flags ...string) *exec.Cmd {
	if !filepath.IsAbs(db) {
		db = "./" + db // a name like -x is not a flag
	}
	return b.Other(append([]string{Tool(b, "sqlite3"), "-batch", "-init", "/dev/null", db}, flags...)...)
}

// A Session is a stock shell that keeps its connection, as an application does.
type Session struct {
	*testkit.Shell
	testing.TB
}

// Open starts a session that ends with the test.
func (b *Bench) Open(db string, statements ...string) *Session {
	b.Helper()
	return b.OpenAs(0, db, statements...)
}

// OpenAs starts a session of a user.
func (b *Bench) OpenAs(uid uint32, db string, statements ...string) *Session {
	b.Helper()
	started, err := testkit.StartShell(As(uid, b.shell(db)))
	b.Check(err)
	b.Cleanup(started.Kill)
	s := &Session{started, b.TB}
	s.Run(statements...)
	return s
}

// Run runs statements, fails the test if one fails, and returns what they print.
func (s *Session) Run(statements ...string) string {
	s.Helper()
	out, err := s.Shell.Run(statements...)
	if err != nil {
		s.Fatal(err)
	}
	return out
}
