//go:build !linux

package osfile

// BootID is empty: this system does not identify boots.
func BootID() string { return "" }
