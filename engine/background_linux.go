package engine

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Nice values.
const (
	polite = 10 // gives way, and still gets a tenth of a CPU that is wanted all the time
	lowest = 19 // gives way to every other
)

// Background starts f in a goroutine whose thread has the lowest priority, and returns what waits for its end: an application
// that wants the CPU gets it at once. That is only for what nobody but the caller waits for, never for what is done under a
// lock. Linux only; elsewhere it is the go statement.
func Background(f func()) (wait func()) { return goNice(lowest, f) }

// politely is Background for what should come to an end on a busy machine, too.
func politely(f func()) (wait func()) { return goNice(polite, f) }

func goNice(nice int, f func()) (wait func()) {
	return ownNiceThread(func() {
		unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), nice) // in Linux each thread has a nice value of its own
		f()
	})
}

// ownNiceThread starts f in a goroutine whose thread ends with it, as the goroutine never unlocks it, so that f may change the thread.
func ownNiceThread(f func()) (wait func()) {
	return inForeground(func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			f()
			return
		}
		// The main thread cannot end. While it is locked here, f gets another one.
		defer runtime.UnlockOSThread()
		ownNiceThread(f)()
	})
}
