//go:build !linux

package engine

// Background starts f in a goroutine and returns what waits for its end.
func Background(f func()) (wait func()) { return inForeground(f) }

func politely(f func()) (wait func()) { return inForeground(f) }
