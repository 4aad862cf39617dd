package osfile

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// An Inode is the identity of a file while it exists.
type Inode struct{ Dev, Ino uint64 }

// OpenInodes counts the open descriptors of this process by file. It is nil if they cannot be
// listed.
func OpenInodes() map[Inode]int {
	for _, dir := range []string{"/proc/self/fd", "/dev/fd"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		held := make(map[Inode]int, len(entries))
		for _, entry := range entries {
			var stat unix.Stat_t
			if fd, err := strconv.Atoi(entry.Name()); err == nil && unix.Fstat(fd, &stat) == nil {
				held[Inode{uint64(stat.Dev), uint64(stat.Ino)}]++
			}
		}
		return held
	}
	return nil
}

// Inode returns the identity of the file.
func (s FileState) Inode() Inode { return Inode{s.Dev, s.Ino} }
