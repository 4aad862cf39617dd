package engine

import (
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPredictReadOnly: nobody, not even root, makes a copy where the file system is read-only.
func TestPredictReadOnly(t *testing.T) {
	dir := t.TempDir()
	must(t, checkWritable(dir))
	var failed, refused error
	goFunc(nil).run(func() {
		runtime.LockOSThread() // and the thread ends with its mounts
		failed = unix.Unshare(unix.CLONE_NEWNS)
		if failed == nil {
			failed = errors.Join(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
				unix.Mount("none", dir, "tmpfs", unix.MS_RDONLY, ""))
		}
		refused = checkWritable(dir)
	})()
	if errors.Is(failed, unix.EPERM) {
		t.Skip("no mount namespace")
	}
	must(t, failed)
	wantKind(t, refused, KindTemp)
}
