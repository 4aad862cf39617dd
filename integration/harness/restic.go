package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// ResticRepository makes a repository where RESTIC_REPOSITORY says, with the password of
// RESTIC_PASSWORD. It is a copy: restic init takes seconds of processor time.
func (b *Bench) ResticRepository() {
	b.Helper()
	b.Check(os.CopyFS(b.Path("repository"), os.DirFS(emptyRepository(b))))
}

var initialising sync.Mutex

// emptyRepository lies beside the program, and goes with it.
func emptyRepository(t testing.TB) string {
	t.Helper()
	initialising.Lock()
	defer initialising.Unlock()
	path := filepath.Join(filepath.Dir(Binary), "repository")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	cmd := exec.Command(Tool(t, "bin/restic"), "init", "--quiet", "--no-cache", "--repo", path)
	cmd.Env = append(os.Environ(), "RESTIC_PASSWORD=test")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}
