package osfile

import "golang.org/x/sys/unix"

// FreeBytes returns how many bytes an unprivileged user can still write to the file system of dir.
func FreeBytes(dir string) (uint64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return 0, err
	}
	return uint64(stat.Bavail) * uint64(stat.Bsize), nil
}
