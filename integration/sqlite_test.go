package integration

import (
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/shell"
)

// app is the user that the databases of these tests belong to where it matters; nobody is another one.
const (
	app    = 1000
	nobody = 65534
)

// as makes cmd run as the user uid, if that is not ourselves.
func as(uid uint32, cmd *exec.Cmd) *exec.Cmd {
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	return cmd
}

// sqlite runs statements in a stock shell and returns what it prints. db is relative to the bench.
func (b *bench) sqlite(db string, statements ...string) string {
	b.Helper()
	return b.sqliteAs(0, db, statements...)
}

func (b *bench) sqliteAs(uid uint32, db string, statements ...string) string {
	b.Helper()
	out, err := shell.Run(as(uid, b.shell(db, "-bail")), statements...)
	if err != nil {
		b.Fatalf("sqlite3 %s: %v\n%s", db, err, out)
	}
	return out
}

func (b *bench) shell(db string, flags ...string) *exec.Cmd {
	if !filepath.IsAbs(db) {
		db = "./" + db // a name like -x is no flag
	}
	return b.other(append([]string{tool(b, "sqlite3"), "-batch", "-init", "/dev/null", db}, flags...)...)
}

// A session is a stock shell that keeps its connection, as an application does.
type session struct {
	*shell.Session
	testing.TB
}

// open starts a session that ends with the test.
func (b *bench) open(db string, statements ...string) *session {
	b.Helper()
	return b.openAs(0, db, statements...)
}

func (b *bench) openAs(uid uint32, db string, statements ...string) *session {
	b.Helper()
	return openSession(b.TB, as(uid, b.shell(db)), statements...)
}

func openSession(t testing.TB, cmd *exec.Cmd, statements ...string) *session {
	t.Helper()
	started, err := shell.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(started.Kill)
	s := &session{started, t}
	s.run(statements...)
	return s
}

// run runs statements, none of which may fail, and returns what they print.
func (s *session) run(statements ...string) string {
	s.Helper()
	out, err := s.Session.Run(statements...)
	if err != nil {
		s.Fatal(err)
	}
	return out
}
