//go:build darwin || freebsd

package engine

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func changeTime(stat *syscall.Stat_t) time.Time { return time.Unix(stat.Ctimespec.Unix()) }

func stampPath(path string) stamp { return cachedStamp(path) }

// mountPoint is not known here.
func mountPoint(string) bool { return false }

func statFile(stat *unix.Stat_t) tokenFile {
	return tokenFile{uint64(stat.Dev), stat.Ino, stat.Size, stat.Mtim.Nano(), stat.Ctim.Nano()}
}
