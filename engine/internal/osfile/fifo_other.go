//go:build !linux

package osfile

// ReleaseFIFO does nothing here: there is no way to open only a FIFO.
func ReleaseFIFO(string) bool { return false }

// A Thread is a thread of this process.
type Thread int

// CurrentThread returns the calling thread.
func CurrentThread() Thread { return 0 }

// RestartCall does nothing here.
func (Thread) RestartCall() {}
