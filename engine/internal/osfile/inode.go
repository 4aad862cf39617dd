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
			fd, err := strconv.Atoi(entry.Name())
			if err != nil {
				continue
			}
			if inode, err := inodeOf(fd); err == nil {
				held[inode]++
			}
		}
		return held
	}
	return nil
}

// inodeByFstat may ask the server of a network file system.
func inodeByFstat(fd int) (Inode, error) {
	var stat unix.Stat_t
	err := unix.Fstat(fd, &stat)
	return Inode{uint64(stat.Dev), uint64(stat.Ino)}, err
}

// Inode returns the identity of the file.
func (s FileState) Inode() Inode { return Inode{s.Dev, s.Ino} }
