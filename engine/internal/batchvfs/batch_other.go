//go:build !linux || !cgo

package batchvfs

// Name returns the name of SQLite's own VFS: there is no other on this system.
func Name() string { return "unix" }
