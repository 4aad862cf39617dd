package engine

// A goFunc starts f in a goroutine. Nil is the go statement.
type goFunc func(f func())

// run starts f and returns a function that waits for its end.
func (start goFunc) run(f func()) (wait func()) {
	done := make(chan struct{})
	g := func() {
		defer close(done)
		f()
	}
	if start == nil {
		go g()
	} else {
		start(g)
	}
	return func() { <-done }
}
