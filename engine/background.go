package engine

// A starter begins a goroutine and returns what waits for its end.
type starter func(f func()) (wait func())

// inForeground is the starter without further ado.
func inForeground(f func()) (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return func() { <-done }
}
