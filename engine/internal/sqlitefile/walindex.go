package sqlitefile

import (
	"bytes"
	"encoding/binary"
	"io"
)

// The layout of a wal-index, the -shm file:
// https://www.sqlite.org/walformat.html#the_wal_index_file_format
//
// Its integers are in the byte order of the machine that made it.
const (
	walIndexHeaderSize = 48 // bytes; stored twice, so that a reader detects a torn write
	walIndexSize       = 2*walIndexHeaderSize + 4
	walIndexVersion    = 3007000
	WALIndexLocks      = 120 // offset of its first lock byte
	WALIndexOpenLock   = 128 // SQLite's UNIX_SHM_DMS: every connection holds a shared lock on this byte
)

// A WALIndex says how far a WAL has been checkpointed.
type WALIndex struct {
	Salt     [8]byte // of the WAL that it belongs to
	Frames   int64   // of the WAL, committed; 0 while it is being restarted
	Backfill int64   // frames already in the database file
}

// ReadWALIndex reads the start of an -shm and reports whether it is valid: it is not while it is
// being written or rebuilt.
func ReadWALIndex(r io.ReaderAt) (WALIndex, bool) {
	var b [walIndexSize]byte
	if _, err := r.ReadAt(b[:], 0); err != nil {
		return WALIndex{}, false
	}
	header := b[:walIndexHeaderSize]
	if !bytes.Equal(header, b[walIndexHeaderSize:2*walIndexHeaderSize]) || !validWALIndex(header) {
		return WALIndex{}, false
	}
	return WALIndex{
		Salt:     [8]byte(header[32:40]),
		Frames:   int64(binary.NativeEndian.Uint32(header[16:])),
		Backfill: int64(binary.NativeEndian.Uint32(b[2*walIndexHeaderSize:])),
	}, true
}

func validWALIndex(header []byte) bool {
	sum := walSum{}.add(header[:40], nativeBigEndian)
	stored := walSum{binary.NativeEndian.Uint32(header[40:]), binary.NativeEndian.Uint32(header[44:])}
	initialized := header[12] != 0
	return initialized && binary.NativeEndian.Uint32(header) == walIndexVersion && sum == stored
}

var nativeBigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1

// WALIndex reads the -shm, and returns a zero value if it cannot. It retries, because a writer may
// be updating it.
func (s AuxFile) WALIndex() WALIndex {
	if s.File == nil {
		return WALIndex{}
	}
	for range 3 {
		if index, ok := ReadWALIndex(s.File); ok {
			return index
		}
	}
	return WALIndex{}
}
