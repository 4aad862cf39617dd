package engine

import (
	"os"
	"sync/atomic"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

const (
	// smallImage is the size, in bytes, up to which an image is assumed to fit into memory.
	smallImage = 16 << 20

	// Between two looks a residence pauses for nine times as long as a look takes, so that it uses
	// a tenth of a CPU, but within these limits.
	shortestPause = 2 * time.Millisecond
	longestPause  = 50 * time.Millisecond

	// longestWait is how long a copy waits for the disk after a step.
	longestWait = time.Second

	// partSize is how much of a file is read ahead at once, in bytes, whenever sampleSize bytes
	// have been read.
	partSize   = 4 << 20
	sampleSize = 256 << 10

	// mostAhead is how many parts on each side of one that is being read are read ahead, too: a
	// check goes through some of them before the next look.
	mostAhead = 32
)

// A residence bounds how much of a private copy is in the page cache where memory is short: the
// kernel would make room for all of it, at the expense of pages that applications use. It drops
// all pages that a writeBack has written when there are too many. A nil residence does nothing.
type residence struct {
	file    *os.File
	bound   int64
	parts   []int64     // how much of each was cached when last compared
	above   atomic.Bool // the bound was exceeded at the last look
	reading atomic.Bool // the file is written, and is being read
	ended   chan struct{}
	wait    func()
}

// startResidence returns nil if size bytes fit into three quarters of the room that the page cache
// has, if the file is not on a disk of this machine, or if the kernel does not say what is cached.
func startResidence(file *os.File, size int64) *residence {
	room, fits := roomFor(size)
	if fits {
		return nil
	}
	if _, known := osfile.Cached(file, osfile.Extent{}); !known || !onDisk(file) {
		return nil
	}
	return keepResidence(file, size, room/2)
}

// roomFor reports whether a file of this size, in bytes, can stay in the page cache. If not, it
// also returns the room that there is.
func roomFor(size int64) (room int64, fits bool) {
	if size <= smallImage {
		return 0, true
	}
	room = osfile.CacheRoom()
	return room, size <= room/4*3
}

// onDisk reports whether the file is on a disk of this machine.
func onDisk(file *os.File) bool {
	kind, network, err := networkFilesystem(file.Name())
	return err == nil && !network && kind != "tmpfs"
}

func keepResidence(file *os.File, size, bound int64) *residence {
	r := &residence{
		file: file, bound: bound, parts: make([]int64, (size+partSize-1)/partSize), ended: make(chan struct{}),
	}
	r.wait = goFunc(nil).run(r.keep)
	return r
}

func (r *residence) keep() {
	for pause := shortestPause; ; {
		select {
		case <-r.ended:
			return
		case <-time.After(pause):
		}
		begin := time.Now()
		above := r.look() > r.bound
		pause = min(max(shortestPause, 9*time.Since(begin)), longestPause)
		if r.above.Store(above); above {
			osfile.Drop(r.file, osfile.Extent{})
		}
	}
}

// look returns how much is cached.
func (r *residence) look() (cached int64) {
	now := make([]int64, len(r.parts))
	var sample int64
	for i := range now {
		now[i], _ = osfile.Cached(r.file, partAt(i))
		cached += now[i]
		r.parts[i] = min(r.parts[i], now[i])
		if now[i] < partSize {
			sample += now[i] - r.parts[i]
		}
	}
	if r.reading.Load() && sample >= sampleSize {
		r.readAhead(now, sample)
		r.parts = now
	}
	return cached
}

// readAhead has the kernel read the rest of each part in which much of the sample lies, and of the
// parts around it, but not so much that the bound is soon exceeded. SQLite checks a b-tree from its
// end to its start, which the kernel takes for reads at random.
func (r *residence) readAhead(now []int64, sample int64) {
	around := min(mostAhead, int(r.bound/partSize/8))
	for i := range now {
		if now[i]-r.parts[i] < sample/4 || now[i] == partSize {
			continue
		}
		for j := max(0, i-around); j <= min(i+around, len(now)-1); j++ {
			if j == i || now[j] < partSize/2 {
				osfile.ReadAhead(r.file, partAt(j))
			}
		}
	}
}

func partAt(i int) osfile.Extent { return osfile.Extent{Offset: int64(i) * partSize, Length: partSize} }

// forReading is called when the whole file has been written. It returns pragmas for a connection
// that reads the file, because mapped pages cannot be dropped.
func (r *residence) forReading() (pragmas []string) {
	if r == nil {
		return nil
	}
	r.reading.Store(true)
	return []string{"mmap_size=0"}
}

// endReading is called when what follows reads the file from its start to its end, which the kernel
// reads ahead.
func (r *residence) endReading() {
	if r != nil {
		r.reading.Store(false)
	}
}

// exceeded reports whether the bound was exceeded at the last look.
func (r *residence) exceeded() bool { return r != nil && r.above.Load() }

// stop leaves the page cache to the kernel from now on.
func (r *residence) stop() {
	if r != nil {
		close(r.ended)
		r.wait()
	}
}
