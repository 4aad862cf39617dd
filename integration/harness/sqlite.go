package harness

import (
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// app is the user that the databases of these tests belong to where it matters; nobody is another one.
const (
	App    = 1000
	Nobody = 65534
)

// as makes cmd run as the user uid, if that is not ourselves.
func As(uid uint32, cmd *exec.Cmd) *exec.Cmd {
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	return cmd
}

// sqlite runs statements in a stock shell and returns what it prints. db is relative to the bench.
func (b *Bench) SQLite(db string, statements ...string) string {
	b.Helper()
	return b.sqliteAs(0, db, statements...)
}

func (b *Bench) sqliteAs(uid uint32, db string, statements ...string) string {
	b.Helper()
	out, err := testkit.RunShell(As(uid, b.shell(db, "-bail")), statements...)
	if err != nil {
		b.Fatalf("sqlite3 %s: %v\n%s", db, err, out)
	}
	return out
}

func (b *Bench) shell(db string, flags ...string) *exec.Cmd {
	if !filepath.IsAbs(db) {
		db = "./" + db // a name like -x is no flag
	}
	return b.Other(append([]string{Tool(b, "sqlite3"), "-batch", "-init", "/dev/null", db}, flags...)...)
}

// A session is a stock shell that keeps its connection, as an application does.
type Session struct {
	*testkit.Shell
	testing.TB
}

// open starts a session that ends with the test.
func (b *Bench) Open(db string, statements ...string) *Session {
	b.Helper()
	return b.openAs(0, db, statements...)
}

func (b *Bench) openAs(uid uint32, db string, statements ...string) *Session {
	b.Helper()
	return OpenSession(b.TB, As(uid, b.shell(db)), statements...)
}

func OpenSession(t testing.TB, cmd *exec.Cmd, statements ...string) *Session {
	t.Helper()
	started, err := testkit.StartShell(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(started.Kill)
	s := &Session{started, t}
	s.Run(statements...)
	return s
}

// run runs statements, none of which may fail, and returns what they print.
func (s *Session) Run(statements ...string) string {
	s.Helper()
	out, err := s.Shell.Run(statements...)
	if err != nil {
		s.Fatal(err)
	}
	return out
}
