//go:build !linux

package main

// background starts f in a goroutine and returns a function that waits for its end.
func background(f func()) (wait func()) { return goWait(f) }

func yielding(f func()) (wait func()) { return goWait(f) }

func urgent(f func()) (wait func()) { return goWait(f) }
