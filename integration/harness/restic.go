package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// ResticRepository creates a repository at RESTIC_REPOSITORY with the password RESTIC_PASSWORD. It
// copies an empty one, because restic init takes seconds of CPU time.
func (b *Bench) ResticRepository() {
	b.Helper()
	b.Check(os.CopyFS(b.Path("repository"), os.DirFS(emptyRepository(b))))
}

var initialising sync.Mutex

// emptyRepository returns a repository beside the program, which is removed with it.
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
