package engine

import (
	"io/fs"
	"os"
	"syscall"
	"time"
)

// A stamp tells whether a file is still the one it was, contents included: whoever writes to it
// changes the stamp.
type stamp struct {
	dev, ino uint64
	size     int64
	mtime    time.Time
	ctime    time.Time
}

func stampOf(info fs.FileInfo) (stamp, bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return stamp{}, false
	}
	return stamp{
		dev:   uint64(stat.Dev),
		ino:   uint64(stat.Ino),
		size:  info.Size(),
		mtime: info.ModTime(),
		ctime: changeTime(stat),
	}, true
}

// cachedStamp is the stamp of the file that path names, zero where there is none.
func cachedStamp(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	s, _ := stampOf(info)
	return s
}

// wholeSeconds reports whether the file system seems to keep no fractions of a second.
func (s stamp) wholeSeconds() bool { return s.mtime.Nanosecond() == 0 && s.ctime.Nanosecond() == 0 }

// hardLinks is how many names the file has, 1 where that is not known.
func hardLinks(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Nlink)
	}
	return 1
}

// ownerID is the file's user ID, -1 where that is not known.
func ownerID(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}

// ownerOf is the file's owner, nil where that is not known.
func ownerOf(info fs.FileInfo) *Owner {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return &Owner{UID: int(stat.Uid), GID: int(stat.Gid)}
	}
	return nil
}
