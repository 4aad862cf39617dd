package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
)

// The layout of a write-ahead log: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
const (
	walHeaderSize      = 32 // bytes
	walFrameHeaderSize = 24 // bytes, before each page
	walMagic           = 0x377f0682
	walVersion         = 3007000

	// walReadSize is how much of a log is read at once, in bytes, rounded down to whole frames: enough to hide
	// the cost of a system call, little enough to look at the context often.
	walReadSize = 1 << 20
)

// A walHeader is the header of a log whose checksum holds.
type walHeader struct {
	bigEndian bool // the checksums add up big-endian words
	pageSize  int  // bytes
	salt      [8]byte
	sum       walSum // where the checksums of the frames go on from
}

// parseWALHeader reads the first 32 bytes of a log. A log whose header is not valid is one without frames.
func parseWALHeader(b []byte) (walHeader, bool) {
	if len(b) < walHeaderSize {
		return walHeader{}, false
	}
	magic := binary.BigEndian.Uint32(b)
	h := walHeader{
		bigEndian: magic&1 != 0,
		pageSize:  int(binary.BigEndian.Uint32(b[8:])),
		salt:      [8]byte(b[16:24]),
	}
	h.sum = walSum{}.add(b[:24], h.bigEndian)
	ok := magic&^1 == walMagic &&
		binary.BigEndian.Uint32(b[4:]) == walVersion &&
		h.sum == storedSum(b[24:])
	return h, ok
}

// A walSum is the running checksum of a log.
type walSum struct{ a, b uint32 }

func storedSum(b []byte) walSum {
	return walSum{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
}

// add returns the checksum after p, whose length is a multiple of 8.
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

// A walContents is what a log holds: its frames up to the last one that ends a transaction.
type walContents struct {
	start     [walHeaderSize]byte // the raw header; a log that starts over gets another
	valid     bool                // the header is one, and for pages of the database's size
	salt      [8]byte
	frames    int64  // whole frames in the file, left over ones from before a restart included
	committed int64  // frames
	pageCount uint32 // pages of the database after the last commit; 0 if there is none
	page1     []byte // the database header as last committed; nil if page 1 is not in the log
}

// readWAL walks the first size bytes of a log, in flat memory, up to the first frame that is not valid.
func readWAL(ctx context.Context, r io.ReaderAt, size int64, pageSize int) (walContents, error) {
	return walkWAL(ctx, r, size, pageSize, func(int64) {})
}

// walkWAL is readWAL, and calls committed with the number of every page that the log holds, as often as it does.
func walkWAL(ctx context.Context, r io.ReaderAt, size int64, pageSize int, committed func(page int64)) (walContents, error) {
	c := walContents{}
	frameSize := int64(walFrameHeaderSize + pageSize)
	c.frames = max(0, size-walHeaderSize) / frameSize
	if _, err := r.ReadAt(c.start[:], 0); err != nil {
		return c, ignoreEOF(err)
	}
	h, ok := parseWALHeader(c.start[:])
	c.valid = ok && h.pageSize == pageSize
	c.salt = h.salt
	if !c.valid || c.frames == 0 {
		return c, nil
	}
	err := c.walk(ctx, io.NewSectionReader(r, walHeaderSize, c.frames*frameSize), h, committed)
	return c, err
}

// walk reads frames, which start at 0 of r, buffer by buffer.
func (c *walContents) walk(ctx context.Context, r *io.SectionReader, h walHeader, committed func(page int64)) error {
	frameSize := walFrameHeaderSize + h.pageSize
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

// ignoreEOF takes a file that ends for a log that ends.
func ignoreEOF(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}

// A walWalker goes from frame to frame as SQLite does when it recovers a log.
type walWalker struct {
	header   walHeader
	sum      walSum
	seen     int64            // valid frames so far
	page1    [headerSize]byte // of a transaction that may not be committed
	hasPage1 bool
	pages    []uint32 // of that transaction
	contents *walContents

	committed func(page int64)
}

// frame takes the next frame, header and page, and tells whether it is valid.
func (w *walWalker) frame(b []byte) bool {
	page := binary.BigEndian.Uint32(b)
	if page == 0 || !bytes.Equal(b[8:16], w.header.salt[:]) {
		return false
	}
	sum := w.sum.add(b[:8], w.header.bigEndian).add(b[walFrameHeaderSize:], w.header.bigEndian)
	if sum != storedSum(b[16:]) {
		return false
	}
	w.sum = sum
	w.seen++
	w.pages = append(w.pages, page)
	if page == 1 {
		w.hasPage1 = true
		copy(w.page1[:], b[walFrameHeaderSize:])
	}
	if pages := binary.BigEndian.Uint32(b[4:]); pages != 0 {
		w.commit(pages)
	}
	return true
}

// commit makes everything seen so far count.
func (w *walWalker) commit(pages uint32) {
	w.contents.committed = w.seen
	w.contents.pageCount = pages
	for _, page := range w.pages {
		w.committed(int64(page))
	}
	w.pages = w.pages[:0]
	if w.hasPage1 {
		w.contents.page1 = append(w.contents.page1[:0], w.page1[:]...)
	}
}

// startedOver tells whether the log has another header by now.
func (c *walContents) startedOver(wal sibling) bool {
	if wal.file == nil {
		return false
	}
	var now [walHeaderSize]byte
	_, err := wal.file.ReadAt(now[:], 0)
	return ignoreEOF(err) != nil || now != c.start
}
