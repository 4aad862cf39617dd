package stream

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

const (
	imageMagic     = "SQLite format 3\x00"
	imageHeaderLen = 32         // as much of a database header as a stream depends on
	maxPageCount   = 0xfffffffe // SQLite's own limit
)

// imageSize computes the length of a database image from its first imageHeaderLen bytes: the magic,
// the page size at offset 16 and the page count at offset 28 (SQLite database file format, 1.3).
func imageSize(header []byte) (int64, error) {
	if string(header[:len(imageMagic)]) != imageMagic {
		return 0, fmt.Errorf("%w: no SQLite header", ErrFormat)
	}
	pageSize := int64(binary.BigEndian.Uint16(header[16:]))
	if pageSize == 1 {
		pageSize = 65536
	}
	if pageSize < 512 || bits.OnesCount64(uint64(pageSize)) != 1 {
		return 0, fmt.Errorf("%w: the database header has a page size of %d", ErrCorrupt, pageSize)
	}
	pageCount := int64(binary.BigEndian.Uint32(header[28:]))
	if pageCount == 0 || pageCount > maxPageCount {
		return 0, fmt.Errorf("%w: the database header has a page count of %d", ErrCorrupt, pageCount)
	}
	return pageSize * pageCount, nil
}
