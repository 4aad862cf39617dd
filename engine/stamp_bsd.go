//go:build darwin || freebsd

package engine

import (
	"syscall"
	"time"
)

func changeTime(stat *syscall.Stat_t) time.Time { return time.Unix(stat.Ctimespec.Unix()) }

func stampPath(path string) stamp { return cachedStamp(path) }

// mountPoint is not known here.
func mountPoint(string) bool { return false }
