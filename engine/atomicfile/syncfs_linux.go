package atomicfile

import (
	"os"

	"golang.org/x/sys/unix"
)

const canSyncFilesystem = true

// syncFilesystem makes durable what was written to the file system that f is on. Linux reports
// failed writes since 5.8.
func syncFilesystem(f *os.File) error { return os.NewSyscallError("syncfs", unix.Syncfs(int(f.Fd()))) }
