// Package harness runs the program under test in a directory of its own, beside applications that
// write to databases.
package harness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit/ledger"
)

// Binary is the absolute path of the program under test: a copy of the static one that make builds,
// however the tests were started. The other programs that make builds are in the directory made.
var Binary, made string

// Main runs the tests of a package, which must leave nothing behind, and then the functions after.
func Main(m *testing.M, after ...func() error) {
	testkit.Roles{ledger.Role: ledger.Write}.Play()
	watchSources()
	code, err := run(m)
	for _, do := range after {
		err = errors.Join(err, do())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// run runs the tests with a copy of the program that every user can run and that no build replaces
// meanwhile.
func run(m *testing.M) (code int, err error) {
	if made, err = built("build"); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "sqlite-checkpoint-program-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	Binary = filepath.Join(dir, "sqlite-checkpoint")
	program, err := os.ReadFile(filepath.Join(made, "sqlite-checkpoint"))
	if err := errors.Join(err, os.Chmod(dir, 0o755), os.WriteFile(Binary, program, 0o755)); err != nil {
		return 1, err
	}
	return testkit.LeakChecked(m).Run(), nil
}

// Path returns a PATH for the program and the others that make builds.
func Path() string { return filepath.Dir(Binary) + ":" + made }

// Tool returns the absolute path of a program that the test runs: an installed one ("restic",
// Debian's) or one that make builds ("bin/restic", a current one).
func Tool(t testing.TB, name string) string {
	t.Helper()
	if base, ours := strings.CutPrefix(name, "bin/"); ours {
		dir, err := built(name)
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, base)
	}
	return testkit.Tool(t, name)
}

var making sync.Mutex

// built makes a target of the Makefile, and returns the directory that it is in.
func built(target string) (dir string, err error) {
	making.Lock()
	defer making.Unlock()
	dir, err = filepath.Abs("../../bin")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("make", "-C", "../..", target)
	// Independent of a make that may have started us.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "MAKEFLAGS=") || strings.HasPrefix(v, "MAKELEVEL=") ||
			strings.HasPrefix(v, "MFLAGS=")
	})
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make %s: %w\n%s", target, err, out)
	}
	return dir, nil
}

// watchSources calls stat(2) for the sources of the program. go test records which files a test
// looks at, and takes a result from its cache only if they are unchanged; it does not see what make
// reads.
func watchSources() {
	for _, root := range []string{"../../go.mod", "../../go.sum", "../../Makefile", "../../cmd", "../../engine",
		"../../stream"} {
		filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				os.Stat(path)
			}
			return nil
		})
	}
}
