package view

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// makePoint creates an empty file or directory to mount a live entry on, unless an earlier run has.
func makePoint(point string, dir bool) error {
	info, err := os.Lstat(point)
	switch {
	case err == nil && info.IsDir() == dir && info.Mode()&fs.ModeSymlink == 0:
		return nil
	case err == nil:
		err = os.Remove(point)
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	if err != nil {
		return err
	}
	if dir {
		return os.Mkdir(point, 0o700)
	}
	f, err := os.OpenFile(point, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// copyLink creates a copy of the live symbolic link: nothing can be mounted on a link.
func copyLink(live *os.File, point string) error {
	var stat unix.Stat_t
	if err := unix.Fstat(int(live.Fd()), &stat); err != nil {
		return err
	}
	buffer := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(live.Fd()), "", buffer)
	if err != nil {
		return err
	}
	target := string(buffer[:n])
	if sameLink(point, target, stat) {
		return nil
	}
	if err := os.Remove(point); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(target, point); err != nil {
		return err
	}
	if err := os.Lchown(point, int(stat.Uid), int(stat.Gid)); err != nil {
		return err
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, point, []unix.Timespec{stat.Atim, stat.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}

// sameLink reports whether a link made by an earlier run is still right.
func sameLink(point, target string, live unix.Stat_t) bool {
	found, err := os.Readlink(point)
	if err != nil || found != target {
		return false
	}
	info, err := os.Lstat(point)
	if err != nil {
		return false
	}
	stat := info.Sys().(*syscall.Stat_t)
	return stat.Uid == live.Uid && stat.Gid == live.Gid && unix.Timespec(stat.Mtim) == live.Mtim
}

// magic begins every database: https://www.sqlite.org/fileformat2.html#magic_header_string
const magic = "SQLite format 3\x00"

// minSize is that of the smallest page, and so of the smallest database.
const minSize = 512

// isDatabase reports whether a file of the directory is a database. One that cannot be read cannot
// be read through the view either.
func isDatabase(dir *os.File, name string) bool {
	const flags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	fd, err := unix.Openat(int(dir.Fd()), name, flags, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var start [minSize]byte
	n, err := unix.Pread(fd, start[:], 0)
	return err == nil && n == minSize && string(start[:len(magic)]) == magic
}
