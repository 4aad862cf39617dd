package osfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// OpenDirBelow opens a directory in dir, and fails with EXDEV if something is mounted on it. Device
// numbers do not show that: a bind mount has that of its source. Old kernels and some containers
// refuse openat2.
func OpenDirBelow(dir *os.File, name string) (int, error) {
	how := unix.OpenHow{
		Flags:   unix.O_DIRECTORY | unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_XDEV,
	}
	for {
		fd, err := unix.Openat2(int(dir.Fd()), name, &how)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM):
			return openOnDevice(dir, name)
		default:
			return fd, err
		}
	}
}
