//go:build !linux

package engine

import "os"

// openBelow opens an entry of dir, and fails with EXDEV if another file system is mounted on it.
func openBelow(dir *os.File, name string, flags int) (int, error) {
	return openOnDevice(dir, name, flags)
}
