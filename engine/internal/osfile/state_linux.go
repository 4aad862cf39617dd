package osfile

import (
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func changeTime(stat *syscall.Stat_t) time.Time { return time.Unix(stat.Ctim.Unix()) }

// Stat returns the state of the file path, zero if there is none. It has the kernel ask the server
// of a network or FUSE file system, which it otherwise does about once a second.
func Stat(path string) FileState {
	var stat unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_FORCE_SYNC, unix.STATX_BASIC_STATS, &stat)
	if errors.Is(err, unix.ENOENT) {
		return FileState{}
	}
	if err != nil {
		return cachedState(path)
	}
	return FileState{
		Dev:   unix.Mkdev(stat.Dev_major, stat.Dev_minor),
		Ino:   stat.Ino,
		Size:  int64(stat.Size),
		Mtime: time.Unix(stat.Mtime.Sec, int64(stat.Mtime.Nsec)),
		Ctime: time.Unix(stat.Ctime.Sec, int64(stat.Ctime.Nsec)),
	}
}

// MountPoint reports whether path is a mount of its own, like a single file mounted into a
// container.
func MountPoint(path string) bool {
	var stat unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_TYPE, &stat)
	return err == nil && stat.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

// inodeOf returns the identity of an open file. It does not ask the server of a network or FUSE
// file system, which may hang.
func inodeOf(fd int) (Inode, error) {
	var stat unix.Statx_t
	const flags = unix.AT_EMPTY_PATH | unix.AT_STATX_DONT_SYNC
	if err := unix.Statx(fd, "", flags, unix.STATX_INO, &stat); err != nil {
		return inodeByFstat(fd)
	}
	return Inode{unix.Mkdev(stat.Dev_major, stat.Dev_minor), stat.Ino}, nil
}
