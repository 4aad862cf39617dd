package osfile

import (
	"math"

	"golang.org/x/sys/unix"
)

// FreeBytes returns how many bytes an unprivileged user can still write to the file system of dir.
func FreeBytes(dir string) (uint64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return 0, err
	}
	return uint64(stat.Bavail) * uint64(stat.Bsize), nil
}

// FileSizeLimit returns the length in bytes that this process may give a file.
func FileSizeLimit() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		return math.MaxUint64
	}
	return uint64(limit.Cur)
}
