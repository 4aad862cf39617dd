//go:build !linux

package osfile

import "os"

// Uncached is nil: this system does not tell.
func Uncached(*os.File, int64, int64) []Extent { return nil }

// Drop does nothing.
func Drop(*os.File, Extent) {}
