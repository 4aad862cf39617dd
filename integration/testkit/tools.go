package testkit

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Laptop reports whether a test may be skipped because something is missing here: it may unless CI
// is set, as by .ci/run.
func Laptop() bool { return os.Getenv("CI") == "" }

// NeedsRoot skips a test that only root can run, or fails it where CI is set.
func NeedsRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "only root can do this")
	}
}

// Tool returns the absolute path of an installed program. If it is missing, the test is skipped, or
// fails where CI is set.
func Tool(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/local/sbin", "/usr/sbin", "/sbin") {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil && filepath.IsAbs(path) {
			return path
		}
	}
	missing(t, name+" is not installed; to install it: integration/install.sh "+name)
	return ""
}

func missing(t testing.TB, why string) {
	t.Helper()
	if Laptop() {
		t.Skip(why)
	}
	t.Fatal(why)
}
