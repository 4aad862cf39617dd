// Package sqlitefile reads the files of a SQLite database without SQLite: database header,
// write-ahead log, wal-index, rollback journal and schema. It changes nothing and takes no lock.
package sqlitefile

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// HeaderSize is the length of the database header at the start of page 1, in bytes.
// See https://www.sqlite.org/fileformat2.html#the_database_header for it and every offset below.
const HeaderSize = 100

// HeaderMagic begins every database.
const HeaderMagic = "SQLite format 3\x00"

// payloadFractions are fixed; maxSchemaFormat is the newest schema format that SQLite knows.
const (
	payloadFractions = "\x40\x20\x20"
	maxSchemaFormat  = 4
)

// Page sizes that the file format allows, in bytes.
const (
	MinPageSize = 512
	MaxPageSize = 65536
)

// A Header is the database header on page 1. Counts are the file's, without the WAL.
type Header struct {
	PageSize      int // bytes
	WriteVersion  int // 1 rollback journal, 2 WAL
	ReadVersion   int
	Reserved      int // bytes at the end of each page
	ChangeCounter uint32
	PageCount     uint32 // trustworthy only if CountValid
	FreelistCount uint32
	SchemaCookie  uint32
	AutoVacuum    bool
	Incremental   bool
	Encoding      uint32 // 1 UTF-8, 2 UTF-16le, 3 UTF-16be; 0 in a database without tables
	UserVersion   int32
	ApplicationID uint32
	VersionValid  uint32
	SQLiteVersion uint32
}

// ErrNotDatabase means that a file does not begin with a valid database header.
var ErrNotDatabase = errors.New("not a SQLite database")

// ParseHeader parses the first 100 bytes of a database.
func ParseHeader(b []byte) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, fmt.Errorf("%w: shorter than its header", ErrNotDatabase)
	}
	if string(b[:len(HeaderMagic)]) != HeaderMagic {
		return Header{}, fmt.Errorf("%w %s", ErrNotDatabase, insteadOf(b))
	}
	be32 := func(offset int) uint32 { return binary.BigEndian.Uint32(b[offset:]) }
	h := Header{
		PageSize:      int(binary.BigEndian.Uint16(b[16:])),
		WriteVersion:  int(b[18]),
		ReadVersion:   int(b[19]),
		Reserved:      int(b[20]),
		ChangeCounter: be32(24),
		PageCount:     be32(28),
		FreelistCount: be32(36),
		SchemaCookie:  be32(40),
		AutoVacuum:    be32(52) != 0,
		Encoding:      be32(56),
		UserVersion:   int32(be32(60)),
		Incremental:   be32(64) != 0,
		ApplicationID: be32(68),
		VersionValid:  be32(92),
		SQLiteVersion: be32(96),
	}
	if h.PageSize == 1 {
		h.PageSize = MaxPageSize
	}
	if h.PageSize < MinPageSize || h.PageSize&(h.PageSize-1) != 0 {
		return Header{}, fmt.Errorf("%w: page size %d", ErrNotDatabase, h.PageSize)
	}
	if format := be32(44); format > maxSchemaFormat || string(b[21:24]) != payloadFractions {
		return Header{}, fmt.Errorf("%w: schema format %d, payload fractions %d", ErrNotDatabase, format, b[21:24])
	}
	if h.ReadVersion < 1 || h.ReadVersion > 2 {
		return Header{}, fmt.Errorf("%w that this version of SQLite can read: file format %d",
			ErrNotDatabase, h.ReadVersion)
	}
	return h, nil
}

// insteadOf names the other kind of file that b is the beginning of.
func insteadOf(b []byte) string {
	switch {
	case binary.BigEndian.Uint32(b)&^1 == walMagic:
		return "but a write-ahead log"
	case string(b[:len(journalMagic)]) == journalMagic:
		return "but a rollback journal"
	case binary.NativeEndian.Uint32(b) == walIndexVersion:
		return "but the shared memory of a write-ahead log"
	}
	return "(encrypted?)"
}

// WAL reports whether the header puts the database in WAL mode. SQLite goes by the read version
// alone.
func (h Header) WAL() bool { return h.ReadVersion == 2 }

// CountValid reports whether the last writer updated PageCount. If it did not, SQLite uses the file
// size.
func (h Header) CountValid() bool { return h.PageCount > 0 && h.VersionValid == h.ChangeCounter }

// EncodingName returns "UTF-8", "UTF-16le" or "UTF-16be".
func (h Header) EncodingName() string {
	switch h.Encoding {
	case 2:
		return "UTF-16le"
	case 3:
		return "UTF-16be"
	}
	return "UTF-8" // 0 too: a database without tables
}

// AutoVacuumName returns "none", "full" or "incremental".
func (h Header) AutoVacuumName() string {
	switch {
	case !h.AutoVacuum:
		return "none"
	case h.Incremental:
		return "incremental"
	}
	return "full"
}

// SQLiteVersionName returns "3.40.1" for 3040001, and "" for 0.
func (h Header) SQLiteVersionName() string {
	if h.SQLiteVersion == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", h.SQLiteVersion/1000000, h.SQLiteVersion/1000%1000, h.SQLiteVersion%1000)
}
