package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// headerSize is the length of the database header at the start of page 1, in bytes.
// See https://www.sqlite.org/fileformat2.html#the_database_header for it and every offset below.
const headerSize = 100

const headerMagic = "SQLite format 3\x00"

// What every database has in its header, and the highest number that SQLite knows of another field.
const (
	payloadFractions = "\x40\x20\x20"
	maxSchemaFormat  = 4
)

// Page sizes that the file format allows, in bytes.
const (
	minPageSize = 512
	maxPageSize = 65536
)

// A header is what page 1 says of the database. Counts are the file's, without the WAL.
type header struct {
	pageSize      int // bytes
	writeVersion  int // 1 rollback journal, 2 WAL
	readVersion   int
	reserved      int // bytes at the end of each page
	changeCounter uint32
	pageCount     uint32 // trustworthy only if countValid
	freelistCount uint32
	schemaCookie  uint32
	autoVacuum    bool
	incremental   bool
	encoding      uint32 // 1 UTF-8, 2 UTF-16le, 3 UTF-16be; 0 in a database without tables
	userVersion   int32
	applicationID uint32
	versionValid  uint32
	sqliteVersion uint32
}

var errNotDatabase = errors.New("not a SQLite database")

// parseHeader reads the first 100 bytes of a database.
func parseHeader(b []byte) (header, error) {
	if len(b) < headerSize {
		return header{}, fmt.Errorf("%w: shorter than its header", errNotDatabase)
	}
	if string(b[:len(headerMagic)]) != headerMagic {
		return header{}, errNotDatabase
	}
	be32 := func(offset int) uint32 { return binary.BigEndian.Uint32(b[offset:]) }
	h := header{
		pageSize:      int(binary.BigEndian.Uint16(b[16:])),
		writeVersion:  int(b[18]),
		readVersion:   int(b[19]),
		reserved:      int(b[20]),
		changeCounter: be32(24),
		pageCount:     be32(28),
		freelistCount: be32(36),
		schemaCookie:  be32(40),
		autoVacuum:    be32(52) != 0,
		encoding:      be32(56),
		userVersion:   int32(be32(60)),
		incremental:   be32(64) != 0,
		applicationID: be32(68),
		versionValid:  be32(92),
		sqliteVersion: be32(96),
	}
	if h.pageSize == 1 {
		h.pageSize = maxPageSize
	}
	if h.pageSize < minPageSize || h.pageSize&(h.pageSize-1) != 0 {
		return header{}, fmt.Errorf("%w: page size %d", errNotDatabase, h.pageSize)
	}
	if format := be32(44); format > maxSchemaFormat || string(b[21:24]) != payloadFractions {
		return header{}, fmt.Errorf("%w: schema format %d, payload fractions %d", errNotDatabase, format, b[21:24])
	}
	if h.readVersion < 1 || h.readVersion > 2 {
		return header{}, fmt.Errorf("%w that this version of SQLite can read: file format %d", errNotDatabase, h.readVersion)
	}
	return h, nil
}

// wal tells whether the header puts the database in WAL mode. SQLite goes by the read version alone.
func (h header) wal() bool { return h.readVersion == 2 }

// countValid tells whether pageCount was written by the last writer; where it was not, SQLite goes by the file's size.
func (h header) countValid() bool { return h.pageCount > 0 && h.versionValid == h.changeCounter }
