package engine

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

const (
	testSize  = 64 << 20
	testBound = 16 << 20
)

// newResidence starts a residence of a new file, which stops at the end of the test.
func newResidence(t *testing.T) *residence {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if !onDisk(f) {
		t.Skip("this file system keeps all files in memory")
	} else if _, known := osfile.Cached(f, osfile.Extent{}); !known {
		t.Skip("the kernel does not say what is cached")
	}
	r := keepResidence(f, testSize, testBound)
	t.Cleanup(r.stop)
	w := keepWriteBack(f, testSize)
	t.Cleanup(func() { w.stop() })
	return r
}

// check fails if much of the file stays cached: a busy machine may be late to drop it.
func (r *residence) check(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		n, _ := osfile.Cached(r.file, osfile.Extent{})
		if n <= testBound+testSize*3/8 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d MiB are cached", n>>20, testSize>>20)
		}
	}
}

// TestResidenceWritten: however much is written to a file, little of it stays in the page cache.
func TestResidenceWritten(t *testing.T) {
	r := newResidence(t)
	for range testSize >> 20 {
		if _, err := r.file.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		for r.exceeded() {
			time.Sleep(time.Millisecond)
		}
		r.check(t)
	}
}

// TestResidenceRead: little of what is read stays there, either. A file that is read from its end
// to its start is read ahead.
func TestResidenceRead(t *testing.T) {
	r := newResidence(t)
	if _, err := r.file.Write(make([]byte, testSize)); err != nil {
		t.Fatal(err)
	}
	if err := r.file.Sync(); err != nil {
		t.Fatal(err)
	}
	osfile.Drop(r.file, osfile.Extent{})
	r.forReading()
	const page = 4 << 10
	missed := 0
	for at := int64(testSize - page); at >= 0; at -= page {
		buffer := make([]byte, page)
		if n, _ := unix.Preadv2(int(r.file.Fd()), [][]byte{buffer}, at, unix.RWF_NOWAIT); n < page {
			missed++
			r.file.ReadAt(buffer, at)
			time.Sleep(100 * time.Microsecond) // as on a disk that is not fast
		}
		if at%(16*page) == 0 {
			r.check(t)
		}
	}
	if missed > testSize/page/4 {
		t.Errorf("%d of %d pages were not there when they were read", missed, testSize/page)
	}
}
