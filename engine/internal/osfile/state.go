package osfile

import (
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A FileState changes whenever a file is replaced or written to.
type FileState struct {
	Dev, Ino uint64
	Size     int64
	Mtime    time.Time
	Ctime    time.Time
}

// StateOf returns the state in info. ok is false if the system does not provide it.
func StateOf(info fs.FileInfo) (s FileState, ok bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return FileState{}, false
	}
	return FileState{
		Dev:   uint64(stat.Dev),
		Ino:   uint64(stat.Ino),
		Size:  info.Size(),
		Mtime: info.ModTime(),
		Ctime: changeTime(stat),
	}, true
}

// cachedState is like Stat, but the system may answer from its cache.
func cachedState(path string) FileState {
	info, err := os.Stat(path)
	if err != nil {
		return FileState{}
	}
	s, _ := StateOf(info)
	return s
}

// WholeSeconds reports whether the file system seems to store times in whole seconds.
func (s FileState) WholeSeconds() bool { return s.Mtime.Nanosecond() == 0 && s.Ctime.Nanosecond() == 0 }

// HardLinks returns the number of names of the file, 1 if unknown.
func HardLinks(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Nlink)
	}
	return 1
}

// Owner returns the user and the group that own the file, -1 if unknown.
func Owner(info fs.FileInfo) (uid, gid int) {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid), int(stat.Gid)
	}
	return -1, -1
}

// StateOfDescriptor is StateOf for the result of fstat(2) or fstatat(2).
func StateOfDescriptor(stat *unix.Stat_t) FileState {
	return FileState{
		Dev:   uint64(stat.Dev),
		Ino:   stat.Ino,
		Size:  stat.Size,
		Mtime: time.Unix(stat.Mtim.Unix()),
		Ctime: time.Unix(stat.Ctim.Unix()),
	}
}
