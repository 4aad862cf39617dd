package engine

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// sqlite runs statements in a new sqlite3 shell and returns what it prints. Each dot command is on
// a line of its own.
func sqlite(t testing.TB, db string, statements ...string) string {
	t.Helper()
	testkit.Tool(t, "sqlite3")
	out, err := trySQLite(db, statements...)
	if err != nil {
		t.Fatalf("sqlite3 %s: %v\n%s", db, err, out)
	}
	return out
}

func trySQLite(db string, statements ...string) (string, error) {
	return testkit.RunShell(exec.Command("sqlite3", "-batch", "-bail", db), statements...)
}

// An application is another process that has the database open.
type application struct {
	*testkit.Shell
	t testing.TB
}

// open starts an application that ends with the test.
func open(t testing.TB, db string, statements ...string) application {
	t.Helper()
	session, err := testkit.StartShell(exec.Command(testkit.Tool(t, "sqlite3"), "-batch", db))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Kill)
	a := application{session, t}
	a.run(statements...)
	return a
}

// run runs statements, fails the test if one fails, and returns what they print.
func (a application) run(statements ...string) string {
	a.t.Helper()
	out, err := a.Run(statements...)
	if err != nil {
		a.t.Fatal(err)
	}
	return out
}

// copyDatabase copies db and those of its files that have one of the suffixes, and exist, into a
// new directory.
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
