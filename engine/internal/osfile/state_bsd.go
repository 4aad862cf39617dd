//go:build darwin || freebsd

package osfile

import (
	"syscall"
	"time"
)

func changeTime(stat *syscall.Stat_t) time.Time { return time.Unix(stat.Ctimespec.Unix()) }

// Stat returns the state of the file path, zero if there is none.
func Stat(path string) FileState { return cachedState(path) }

// MountPoint is always false: this system does not tell.
func MountPoint(string) bool { return false }

// inodeOf returns the identity of an open file.
func inodeOf(fd int) (Inode, error) { return inodeByFstat(fd) }
