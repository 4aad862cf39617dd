package integration

import (
	"bufio"
	"bytes"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
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
	cmd := as(uid, b.shell(db, "-bail"))
	cmd.Stdin = strings.NewReader(strings.Join(statements, "\n") + "\n")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		b.Fatalf("sqlite3 %s: %v\n%s", db, err, out.String())
	}
	return strings.TrimSpace(out.String())
}

func (b *bench) shell(db string, flags ...string) *exec.Cmd {
	if !filepath.IsAbs(db) {
		db = "./" + db // a name like -x is no flag
	}
	return b.other(append([]string{tool(b, "sqlite3"), "-batch", "-init", "/dev/null", db}, flags...)...)
}

// A session is a stock shell that keeps its connection, as an application does.
type session struct {
	testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// open starts a session that ends with the test.
func (b *bench) open(db string, statements ...string) *session {
	b.Helper()
	return b.openAs(0, db, statements...)
}

func (b *bench) openAs(uid uint32, db string, statements ...string) *session {
	b.Helper()
	s := &session{TB: b.TB, cmd: as(uid, b.shell(db))}
	var err error
	s.in, err = s.cmd.StdinPipe()
	b.check(err)
	out, err := s.cmd.StdoutPipe()
	b.check(err)
	s.cmd.Stderr = s.cmd.Stdout
	s.out = bufio.NewReader(out)
	b.check(s.cmd.Start())
	b.Cleanup(s.kill)
	s.run(statements...)
	return s
}

// run runs statements, none of which may fail, and returns what they print.
func (s *session) run(statements ...string) string {
	s.Helper()
	const mark = "=== done ==="
	if _, err := io.WriteString(s.in, strings.Join(statements, "\n")+"\n.print "+mark+"\n"); err != nil {
		s.Fatalf("sqlite3: %v", err)
	}
	var printed strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		if err != nil || strings.Contains(line, "error near line") {
			s.Fatalf("sqlite3: %v: %s%s", err, printed.String(), line)
		}
		if strings.TrimSpace(line) == mark {
			return strings.TrimSpace(printed.String())
		}
		printed.WriteString(line)
	}
}

// close ends the session as an application ends: the last one folds the WAL back and removes it.
func (s *session) close() {
	s.in.Close()
	s.cmd.Wait()
}

// kill ends it as a crash does.
func (s *session) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}
