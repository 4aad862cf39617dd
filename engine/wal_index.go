package engine

import (
	"bytes"
	"encoding/binary"
	"io"
)

// The layout of a wal-index, the -shm file: https://www.sqlite.org/walformat.html#the_wal_index_file_format
// Its integers are in the byte order of the machine that made it.
const (
	walIndexHeaderSize = 48 // bytes; two copies, so that a reader can tell a torn one
	walIndexSize       = 2*walIndexHeaderSize + 4
	walIndexVersion    = 3007000
	walIndexLocks      = 120 // the first of its lock bytes
	walIndexOpenLock   = 128 // SQLite's UNIX_SHM_DMS: every connection holds a shared lock on this byte
)

// A walIndex is the part of a wal-index that tells how far the log has been checkpointed.
type walIndex struct {
	salt     [8]byte // of the log that it belongs to
	backfill int64   // frames that are in the database file already
}

// readWALIndex reads the start of an -shm. One that is not whole, as while it is being written or rebuilt, tells nothing.
func readWALIndex(r io.ReaderAt) (walIndex, bool) {
	var b [walIndexSize]byte
	if _, err := r.ReadAt(b[:], 0); err != nil {
		return walIndex{}, false
	}
	header := b[:walIndexHeaderSize]
	if !bytes.Equal(header, b[walIndexHeaderSize:2*walIndexHeaderSize]) || !validWALIndex(header) {
		return walIndex{}, false
	}
	return walIndex{
		salt:     [8]byte(header[32:40]),
		backfill: int64(binary.NativeEndian.Uint32(b[2*walIndexHeaderSize:])),
	}, true
}

func validWALIndex(header []byte) bool {
	sum := walSum{}.add(header[:40], nativeBigEndian)
	stored := walSum{binary.NativeEndian.Uint32(header[40:]), binary.NativeEndian.Uint32(header[44:])}
	initialized := header[12] != 0
	return initialized && binary.NativeEndian.Uint32(header) == walIndexVersion && sum == stored
}

var nativeBigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1

// walIndex is what the -shm tells, nothing if it cannot be read. A writer may be at it at this very moment, so a second look is due.
func (s sibling) walIndex() walIndex {
	if s.file == nil {
		return walIndex{}
	}
	for range 3 {
		if index, ok := readWALIndex(s.file); ok {
			return index
		}
	}
	return walIndex{}
}
