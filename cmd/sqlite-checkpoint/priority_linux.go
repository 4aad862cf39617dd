package main

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Nice values.
const (
	lowNice    = 10 // yields, but keeps about a tenth of a contended CPU
	lowestNice = 19 // yields to everything else

	// urgentNice takes most of a CPU, however many programs want it. Root may set it, and whoever
	// RLIMIT_NICE allows to.
	urgentNice = -10
)

// background starts f in a goroutine whose thread has the lowest priority, and returns a function
// that waits for its end. An application that wants the CPU gets it at once: that suits work for
// which only the caller waits, and nothing that holds a lock.
func background(f func()) (wait func()) { return goNice(lowestNice, f) }

// yielding is background for work that has to end on a busy machine, too.
func yielding(f func()) (wait func()) { return goNice(lowNice, f) }

// urgent is background for work that an application waits for.
func urgent(f func()) (wait func()) { return goNice(urgentNice, f) }

func goNice(nice int, f func()) (wait func()) {
	return ownThread(func() {
		unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), nice) // on Linux each thread has its own
		f()
	})
}

// ownThread starts f on a thread of its own, which f may change. The goroutine never unlocks the
// thread, so that the thread ends with it.
func ownThread(f func()) (wait func()) {
	return goWait(func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			f()
			return
		}
		// The main thread cannot end. While it is locked here, f gets another one.
		defer runtime.UnlockOSThread()
		ownThread(f)()
	})
}
