//go:build !linux

package osfile

import "os"

// OpenBelow opens an entry of dir, and fails with EXDEV if another file system is mounted on it.
func OpenBelow(dir *os.File, name string, flags int) (int, error) {
	return openOnDevice(dir, name, flags)
}
