package stage

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// TestRemoveMounted: a stage in which something is mounted is not removed, nor is what is mounted.
func TestRemoveMounted(t *testing.T) {
	testkit.NeedsRoot(t)
	if os.Getenv("IN_NAMESPACE") == "" { // mountinfo is that of the process
		cmd := exec.Command("unshare", "--mount", os.Args[0], "-test.run=^TestRemoveMounted$")
		cmd.Env = append(os.Environ(), "IN_NAMESPACE=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	f := newFixture(t)
	f.must(os.WriteFile(f.path("app/precious"), nil, 0o600))
	f.must(os.Mkdir(f.path("parent"), 0o700))
	s, err := Temporary(f.path("parent"))
	f.must(err)
	f.must(os.Mkdir(s.Path("app"), 0o700))
	f.must(unix.Mount(f.path("app"), s.Path("app"), "", unix.MS_BIND, ""))
	err = s.Close()
	f.must(unix.Unmount(s.Path("app"), 0))
	if _, gone := os.Lstat(f.path("app/precious")); err == nil || gone != nil {
		t.Errorf("Close = %v; what was mounted: %v", err, gone)
	}
}
