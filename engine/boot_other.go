//go:build !linux

package engine

// bootID is empty: this platform does not tell.
func bootID() string { return "" }
