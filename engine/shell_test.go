package engine

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sqlite runs statements in a sqlite3 shell of their own and returns what it prints. Dot commands go on a line each.
func sqlite(t testing.TB, db string, statements ...string) string {
	t.Helper()
	out, err := trySQLite(db, statements...)
	if err != nil {
		t.Fatalf("sqlite3 %s: %v\n%s", db, err, out)
	}
	return out
}

func trySQLite(db string, statements ...string) (string, error) {
	cmd := exec.Command("sqlite3", "-batch", "-bail", db)
	cmd.Stdin = strings.NewReader(strings.Join(statements, "\n") + "\n")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	return strings.TrimSpace(string(out) + stderr.String()), err
}

// A shell is a sqlite3 process that keeps its connection, so that another process holds the database.
type shell struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// openShell starts a shell on db that ends with the test.
func openShell(t testing.TB, db string, statements ...string) *shell {
	t.Helper()
	s := &shell{t: t, cmd: exec.Command("sqlite3", "-batch", db)}
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stderr = s.cmd.Stdout
	s.out = bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	s.run(statements...)
	return s
}

// run runs statements and returns what they print. A statement that fails, fails the test.
func (s *shell) run(statements ...string) string {
	s.t.Helper()
	out := s.try(statements...)
	if strings.Contains(out, "error near line") {
		s.t.Fatalf("sqlite3: %s", out)
	}
	return out
}

// try runs statements that may fail and returns what they print, messages included.
func (s *shell) try(statements ...string) string {
	s.t.Helper()
	const mark = "=== done ==="
	if _, err := io.WriteString(s.in, strings.Join(statements, "\n")+"\n.print "+mark+"\n"); err != nil {
		s.t.Fatalf("sqlite3: %v", err)
	}
	var printed strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			s.t.Fatalf("sqlite3 ended: %v", err)
		}
		if strings.TrimSpace(line) == mark {
			return strings.TrimSpace(printed.String())
		}
		printed.WriteString(line)
	}
}

// close ends the shell as an application ends: its connection is closed.
func (s *shell) close() {
	s.in.Close()
	s.cmd.Wait()
}

// kill ends the shell as a crash would: whatever it left behind stays.
func (s *shell) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// copyDatabase copies db and those of its files that have one of the suffixes, and exist, into a new directory.
func copyDatabase(t testing.TB, db string, suffixes ...string) string {
	t.Helper()
	dst := filepath.Join(t.TempDir(), filepath.Base(db))
	for _, suffix := range append([]string{""}, suffixes...) {
		data, err := os.ReadFile(db + suffix)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dst+suffix, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dst
}
