package main

// goWait calls f in a goroutine and returns a function that waits for its end.
func goWait(f func()) (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return func() { <-done }
}
