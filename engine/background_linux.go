package engine

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// lowest is the nice value that gives way to every other.
const lowest = 19

// Background runs f in a goroutine whose thread has the lowest priority: an application that wants the CPU gets it at once. That
// is only for what nobody but the caller waits for, never for what is done under a lock. Linux only; elsewhere it is the go statement.
func Background(f func()) {
	go func() {
		// In Linux each thread has a nice value of its own, see setpriority(2). This one ends with its goroutine, which never unlocks it.
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), lowest)
			f()
			return
		}
		// The main thread cannot end. While it is locked here, f gets another one.
		defer runtime.UnlockOSThread()
		done := make(chan struct{})
		Background(func() {
			defer close(done)
			f()
		})
		<-done
	}()
}
