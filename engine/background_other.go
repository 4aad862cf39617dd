//go:build !linux

package engine

// Background runs f in a goroutine.
func Background(f func()) { go f() }
