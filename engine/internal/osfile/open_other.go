//go:build !linux

package osfile

import "os"

// OpenDirBelow opens a directory in dir, and fails with EXDEV if another file system is mounted on
// it.
func OpenDirBelow(dir *os.File, name string) (int, error) { return openOnDevice(dir, name) }
