package engine

import (
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func changeTime(stat *syscall.Stat_t) time.Time { return time.Unix(stat.Ctim.Unix()) }

// stampPath is the stamp of the file that path names, zero where there is none. It asks the server
// of a network or FUSE file system, which the kernel would otherwise do about once a second.
func stampPath(path string) stamp {
	var stat unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_FORCE_SYNC, unix.STATX_BASIC_STATS, &stat)
	if errors.Is(err, unix.ENOENT) {
		return stamp{}
	}
	if err != nil {
		return cachedStamp(path)
	}
	return stamp{
		dev:   unix.Mkdev(stat.Dev_major, stat.Dev_minor),
		ino:   stat.Ino,
		size:  int64(stat.Size),
		mtime: time.Unix(stat.Mtime.Sec, int64(stat.Mtime.Nsec)),
		ctime: time.Unix(stat.Ctime.Sec, int64(stat.Ctime.Nsec)),
	}
}

// mountPoint reports whether path is a mount of its own, as a file is that was given to a container
// alone.
func mountPoint(path string) bool {
	var stat unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_TYPE, &stat)
	return err == nil && stat.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

func statFile(stat *unix.Stat_t) tokenFile {
	return tokenFile{uint64(stat.Dev), stat.Ino, stat.Size, stat.Mtim.Nano(), stat.Ctim.Nano()}
}
