//go:build !linux

package suspend

// A Delay does nothing here: Ctrl-Z suspends the process at once.
type Delay struct{}

// Catch returns nil.
func Catch() *Delay { return nil }

// Hold does nothing.
func (*Delay) Hold() (release func()) { return func() {} }
