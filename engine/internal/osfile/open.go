package osfile

import (
	"os"

	"golang.org/x/sys/unix"
)

// OpenBelow opens an entry of dir. It follows no symbolic link.
func OpenBelow(dir *os.File, name string, flags int) (fd int, err error) {
	for {
		fd, err = unix.Openat(int(dir.Fd()), name, flags|unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// openOnDevice opens a directory in dir, and fails with EXDEV if it is on another device.
func openOnDevice(dir *os.File, name string) (int, error) {
	fd, err := OpenBelow(dir, name, unix.O_DIRECTORY)
	if err != nil {
		return -1, err
	}
	var above, stat unix.Stat_t
	if err = unix.Fstat(int(dir.Fd()), &above); err == nil {
		err = unix.Fstat(fd, &stat)
	}
	if err == nil && stat.Dev != above.Dev {
		err = unix.EXDEV
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
