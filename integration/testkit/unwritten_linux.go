package testkit

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Unwritten returns how many pages of the first bytes of f, 0 for all, the disk does not have yet.
// It skips the test where that cannot be known.
func Unwritten(t testing.TB, f *os.File, size int64) uint64 {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil || fs.Type == unix.TMPFS_MAGIC {
		t.Skip("this file system keeps all files in memory")
	}
	var stat unix.Cachestat_t
	if err := unix.Cachestat(uint(f.Fd()), &unix.CachestatRange{Len: uint64(size)}, &stat, 0); err != nil {
		t.Skip("the kernel does not say what is dirty")
	}
	return stat.Dirty + stat.Writeback
}
