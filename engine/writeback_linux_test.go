package engine

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestWriteBack: what is written to a file goes to the disk at once, not when the kernel writes it
// after 30 seconds. stop does not wait for what is missing.
func TestWriteBack(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 40<<20 + 4096
	w := keepWriteBack(f, size+1)
	for left := size; left > 0; left -= 64 << 10 {
		if _, err := f.Write(make([]byte, min(left, 64<<10))); err != nil {
			t.Fatal(err)
		}
	}
	const whole = size / writeBackPart * writeBackPart
	for deadline := time.Now().Add(20 * time.Second); unwritten(t, f, whole) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d pages are not written", unwritten(t, f, whole))
		}
	}
	w.stop()
}

// unwritten returns how many pages of a part of f the disk does not have yet.
func unwritten(t *testing.T, f *os.File, size uint64) uint64 {
	t.Helper()
	if !onDisk(f) {
		t.Skip("this file system keeps all files in memory")
	}
	var stat unix.Cachestat_t
	if err := unix.Cachestat(uint(f.Fd()), &unix.CachestatRange{Len: size}, &stat, 0); err != nil {
		t.Skip("the kernel does not say what is dirty")
	}
	return stat.Dirty + stat.Writeback
}
