//go:build !linux

package atomicfile

import "os"

const canSyncFilesystem = false

func syncFilesystem(f *os.File) error { return f.Sync() }
