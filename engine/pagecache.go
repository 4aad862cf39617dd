package engine

import (
	"os"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

// cacheWindow is how much of a file is looked at in one piece, and cacheAhead how far the kernel
// may read ahead, in bytes. It is rarely more than 128 KiB.
const (
	cacheWindow = 4 << 20
	cacheAhead  = 4 * cacheWindow
)

// A footprint is what reading a source from its start to its end leaves in the page cache: what was
// cached before, and nothing else. No descriptor is opened for it, which would have to be closed.
type footprint struct {
	file   *os.File
	looked int64           // up to where it is known what was cached
	ours   []osfile.Extent // not cached before, and not dropped yet
	drop   chan osfile.Extent
	wait   func()
}

// startFootprint starts a goroutine that drops what has been read, because a writer may be waiting
// for the copy.
func startFootprint(file *os.File) *footprint {
	f := &footprint{file: file, drop: make(chan osfile.Extent, 1<<10)}
	f.wait = goFunc(nil).run(func() {
		for part := range f.drop {
			osfile.Drop(file, part)
		}
	})
	return f
}

// enter is called before bytes up to end are read. It looks further, as the kernel reads ahead. It
// never waits.
func (f *footprint) enter(end int64) {
	for ; f.looked < end+cacheAhead; f.looked += cacheWindow {
		for _, part := range osfile.Uncached(f.file, f.looked, cacheWindow) {
			osfile.Drop(f.file, part) // nothing is there; see Drop
			f.ours = append(f.ours, part)
		}
	}
}

// leave is called when all bytes up to end have been read. Where dropping cannot keep up, it is
// left out.
func (f *footprint) leave(end int64) {
	for len(f.ours) > 0 && f.ours[0].Offset+f.ours[0].Length <= end {
		select {
		case f.drop <- f.ours[0]:
		default:
		}
		f.ours = f.ours[1:]
	}
}

// end waits until everything is dropped, what the kernel has read ahead included.
func (f *footprint) end() {
	for _, part := range f.ours {
		f.drop <- part
	}
	close(f.drop)
	f.wait()
}
