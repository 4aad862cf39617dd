// Package suspend delays Ctrl-Z while an application would have to wait for a suspended process.
package suspend

import (
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Delay delays Ctrl-Z: the process is suspended when nothing holds the Delay. A nil Delay does
// nothing.
type Delay struct{ mu sync.RWMutex }

// Catch takes SIGTSTP, which Ctrl-Z sends, over for the rest of the process's life, unless it is
// ignored: then it returns nil. SIGSTOP cannot be caught.
func Catch() *Delay {
	if signal.Ignored(syscall.SIGTSTP) {
		return nil
	}
	d := &Delay{}
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGTSTP)
	go func() {
		for range caught {
			d.mu.Lock()
			suspend()
			d.mu.Unlock()
		}
	}()
	return d
}

// Hold delays the suspension until release is called. If one is already due, Hold waits until it is
// over.
func (d *Delay) Hold() (release func()) {
	if d == nil {
		return func() {}
	}
	d.mu.RLock()
	return sync.OnceFunc(d.mu.RUnlock)
}

// suspend does what SIGTSTP does by default. (SIGSTOP would also stop an orphaned process group,
// which no shell would continue.) Go does not restore the default action of this signal once it was
// caught.
func suspend() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var byDefault, caught sigaction
	if err := setAction(syscall.SIGTSTP, &byDefault, &caught); err != nil {
		return
	}
	unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGTSTP) // to this thread: it is delivered before the call returns
	setAction(syscall.SIGTSTP, &caught, nil)
}

// A sigaction is the kernel's, of a 64-bit system: handler, flags, restorer, mask. The zero value
// is SIG_DFL.
type sigaction [4]uint64

func setAction(s syscall.Signal, to, from *sigaction) error {
	const maskSize = 8
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s),
		uintptr(unsafe.Pointer(to)), uintptr(unsafe.Pointer(from)), maskSize, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
