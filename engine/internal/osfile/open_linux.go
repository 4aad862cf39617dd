package osfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// OpenBelow opens an entry of dir, and fails with EXDEV if something is mounted on it. Device
// numbers do not show that: a bind mount has that of its source. Old kernels and some containers
// refuse openat2.
func OpenBelow(dir *os.File, name string, flags int) (int, error) {
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_CLOEXEC),
		Resolve: unix.RESOLVE_NO_XDEV,
	}
	for {
		fd, err := unix.Openat2(int(dir.Fd()), name, &how)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM):
			return openOnDevice(dir, name, flags)
		default:
			return fd, err
		}
	}
}
