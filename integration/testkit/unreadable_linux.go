package testkit

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// WhileUnreadable calls f while nobody, not even root, may read the directory: its files can be
// used and changed, but it cannot be opened to sync it. That holds for what f does itself, not for
// goroutines that it starts.
func WhileUnreadable(t testing.TB, dir string, f func()) {
	t.Helper()
	runtime.LockOSThread() // capabilities are a thread's
	defer runtime.UnlockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		t.Fatal(err)
	}
	before := sets
	defer unix.Capset(&header, &before[0])
	defer os.Chmod(dir, 0o700)
	sets[0].Effective &^= 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH
	if err := errors.Join(unix.Capset(&header, &sets[0]), os.Chmod(dir, 0o300)); err != nil {
		t.Fatal(err)
	}
	f()
}
