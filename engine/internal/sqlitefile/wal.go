package sqlitefile

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
)

// The layout of a write-ahead log: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
const (
	WALHeaderSize   = 32 // bytes
	FrameHeaderSize = 24 // bytes, before each page
	walMagic        = 0x377f0682
	walVersion      = 3007000

	// walReadSize is the size of a read in bytes, rounded down to whole frames: large enough to
	// hide the cost of a system call, small enough to check the context often.
	walReadSize = 1 << 20
)

// A WALHeader is the header of a WAL.
type WALHeader struct {
	BigEndian bool // byte order of the checksums
	PageSize  int  // bytes
	Salt      [8]byte
	sum       walSum // checksum that those of the frames continue
}

// ParseWALHeader parses the first 32 bytes of a WAL and reports whether they are valid. SQLite
// treats a WAL without a valid header as empty.
func ParseWALHeader(b []byte) (WALHeader, bool) {
	if len(b) < WALHeaderSize {
		return WALHeader{}, false
	}
	magic := binary.BigEndian.Uint32(b)
	h := WALHeader{
		BigEndian: magic&1 != 0,
		PageSize:  int(binary.BigEndian.Uint32(b[8:])),
		Salt:      [8]byte(b[16:24]),
	}
	h.sum = walSum{}.add(b[:24], h.BigEndian)
	ok := magic&^1 == walMagic &&
		binary.BigEndian.Uint32(b[4:]) == walVersion &&
		h.sum == storedSum(b[24:])
	return h, ok
}

// A walSum is the running checksum of a WAL.
type walSum struct{ a, b uint32 }

func storedSum(b []byte) walSum {
	return walSum{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
}

// add continues the checksum with p, whose length must be a multiple of 8.
func (s walSum) add(p []byte, bigEndian bool) walSum {
	if bigEndian {
		for ; len(p) >= 8; p = p[8:] {
			s.a += binary.BigEndian.Uint32(p) + s.b
			s.b += binary.BigEndian.Uint32(p[4:]) + s.a
		}
		return s
	}
	for ; len(p) >= 8; p = p[8:] {
		s.a += binary.LittleEndian.Uint32(p) + s.b
		s.b += binary.LittleEndian.Uint32(p[4:]) + s.a
	}
	return s
}

// A WAL describes a write-ahead log up to its last commit.
type WAL struct {
	Start     [WALHeaderSize]byte // raw header; it changes when the WAL restarts
	Valid     bool                // the header is valid and has the page size of the database
	Salt      [8]byte
	Frames    int64  // whole frames in the file, including stale ones from before a restart
	Committed int64  // frames
	PageCount uint32 // database pages after the last commit; 0 if there is none
	Page1     []byte // database header as last committed; nil if page 1 is not in the WAL
}

// ReadWAL reads the first size bytes of a WAL, in constant memory, up to the first invalid frame.
func ReadWAL(ctx context.Context, r io.ReaderAt, size int64, pageSize int) (WAL, error) {
	return WalkWAL(ctx, r, size, pageSize, func(int64) {})
}

// WalkWAL is like ReadWAL and calls committed with the page number of every committed frame, in
// order.
func WalkWAL(
	ctx context.Context, r io.ReaderAt, size int64, pageSize int, committed func(page int64),
) (WAL, error) {
	c := WAL{}
	frameSize := int64(FrameHeaderSize + pageSize)
	c.Frames = max(0, size-WALHeaderSize) / frameSize
	if _, err := r.ReadAt(c.Start[:], 0); err != nil {
		return c, ignoreEOF(err)
	}
	h, ok := ParseWALHeader(c.Start[:])
	c.Valid = ok && h.PageSize == pageSize
	c.Salt = h.Salt
	if !c.Valid || c.Frames == 0 {
		return c, nil
	}
	err := c.walk(ctx, io.NewSectionReader(r, WALHeaderSize, c.Frames*frameSize), h, committed)
	return c, err
}

// walk reads the frames of r one buffer at a time.
func (c *WAL) walk(ctx context.Context, r *io.SectionReader, h WALHeader, committed func(page int64)) error {
	frameSize := FrameHeaderSize + h.PageSize
	w := walWalker{header: h, sum: h.sum, contents: c, committed: committed}
	buffer := make([]byte, min(r.Size(), int64(max(1, walReadSize/frameSize)*frameSize)))
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(r, buffer)
		for frames := buffer[:n]; len(frames) >= frameSize; frames = frames[frameSize:] {
			if !w.frame(frames[:frameSize]) {
				return nil
			}
		}
		if err != nil {
			return ignoreEOF(err)
		}
	}
}

// ignoreEOF treats the end of the file as the end of the WAL.
func ignoreEOF(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}

// A walWalker validates frame after frame as SQLite does when it recovers a WAL.
type walWalker struct {
	header   WALHeader
	sum      walSum
	seen     int64            // valid frames so far
	page1    [HeaderSize]byte // in a transaction that may not be committed
	hasPage1 bool
	pages    []uint32 // of that transaction
	contents *WAL

	committed func(page int64)
}

// frame processes the next frame, header and page, and reports whether it is valid.
func (w *walWalker) frame(b []byte) bool {
	page := binary.BigEndian.Uint32(b)
	if page == 0 || !bytes.Equal(b[8:16], w.header.Salt[:]) {
		return false
	}
	sum := w.sum.add(b[:8], w.header.BigEndian).add(b[FrameHeaderSize:], w.header.BigEndian)
	if sum != storedSum(b[16:]) {
		return false
	}
	w.sum = sum
	w.seen++
	w.pages = append(w.pages, page)
	if page == 1 {
		w.hasPage1 = true
		copy(w.page1[:], b[FrameHeaderSize:])
	}
	if pages := binary.BigEndian.Uint32(b[4:]); pages != 0 {
		w.commit(pages)
	}
	return true
}

// commit marks all frames seen so far as committed.
func (w *walWalker) commit(pages uint32) {
	w.contents.Committed = w.seen
	w.contents.PageCount = pages
	for _, page := range w.pages {
		w.committed(int64(page))
	}
	w.pages = w.pages[:0]
	if w.hasPage1 {
		w.contents.Page1 = append(w.contents.Page1[:0], w.page1[:]...)
	}
}

// Restarted reports whether the header has changed since the WAL was read, or the file has become
// shorter since it was opened.
func (c *WAL) Restarted(wal AuxFile) bool {
	if wal.File == nil {
		return false
	}
	var now [WALHeaderSize]byte
	_, err := wal.File.ReadAt(now[:], 0)
	info, errStat := wal.File.Stat()
	return ignoreEOF(err) != nil || now != c.Start || errStat != nil || info.Size() < wal.Size
}
