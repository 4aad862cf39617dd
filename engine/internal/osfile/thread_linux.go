package osfile

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// ownThread calls f on a new thread, whose attributes f may change, and waits. The goroutine never
// unlocks the thread, so that the thread ends with it.
func ownThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			f()
			return
		}
		// The main thread cannot end. While it is locked here, f gets another one.
		defer runtime.UnlockOSThread()
		ownThread(f)
	}()
	<-done
}
