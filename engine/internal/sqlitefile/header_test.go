package sqlitefile

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// header is the first page of a database, with these bytes at these offsets.
func header(changes map[int][]byte) []byte {
	b := make([]byte, 512)
	copy(b, HeaderMagic+"\x10\x00\x01\x01\x00"+payloadFractions)
	for offset, change := range changes {
		copy(b[offset:], change)
	}
	return b
}

func be32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// TestHeaderRefused: SQLite opens none of these files either.
func TestHeaderRefused(t *testing.T) {
	native := binary.NativeEndian.AppendUint32(nil, walIndexVersion)
	for want, changes := range map[string]map[int][]byte{
		"page size 256":    {16: {1, 0}},
		"page size 0":      {16: {0, 0}},
		"page size 513":    {16: {2, 1}},
		"page size 3072":   {16: {12, 0}},
		"schema format 5,": {44: be32(5)},
		"schema format 0, payload fractions [65 32 32]": {21: {65}},
		"payload fractions [64 31 32]":                  {22: {31}},
		"payload fractions [64 32 33]":                  {23: {33}},
		"can read: file format 0":                       {19: {0}},
		"can read: file format 3":                       {19: {3}},
		"database (encrypted?)":                         {15: {1}},
		"database but a write-ahead log":                {0: be32(walMagic)},
		"database but a write-ahead log ":               {0: be32(walMagic | 1)},
		"database but a rollback journal":               {0: []byte(journalMagic)},
		"but the shared memory of a write-ahead log":    {0: native},
	} {
		_, err := ParseHeader(header(changes))
		if !errors.Is(err, ErrNotDatabase) || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%s: %v", want, err)
		}
	}
	for length, ok := range map[int]bool{0: false, 16: false, HeaderSize - 1: false, HeaderSize: true} {
		if _, err := ParseHeader(header(nil)[:length]); (err == nil) != ok {
			t.Errorf("%d bytes: %v", length, err)
		}
	}
}

// TestHeaderFields: every field, and the smallest and largest values that are valid.
func TestHeaderFields(t *testing.T) {
	h, err := ParseHeader(header(map[int][]byte{
		16: {0, 1, 1, 2, 7}, 24: be32(24), 28: be32(28), 36: be32(36), 40: be32(40), 44: be32(maxSchemaFormat),
		52: be32(52), 56: be32(3), 60: be32(1<<32 - 60), 64: be32(64), 68: be32(68), 92: be32(24), 96: be32(3040012),
	}))
	want := Header{
		PageSize: MaxPageSize, WriteVersion: 1, ReadVersion: 2, Reserved: 7, ChangeCounter: 24, PageCount: 28,
		FreelistCount: 36, SchemaCookie: 40, AutoVacuum: true, Incremental: true, Encoding: 3, UserVersion: -60,
		ApplicationID: 68, VersionValid: 24, SQLiteVersion: 3040012,
	}
	if err != nil || h != want {
		t.Errorf("%+v, %v, want %+v", h, err, want)
	}
	if got, err := ParseHeader(header(map[int][]byte{16: {2, 0}})); err != nil || got.PageSize != MinPageSize {
		t.Errorf("page size %d, %v", got.PageSize, err)
	}
	if !h.WAL() || !h.CountValid() || h.AutoVacuumName() != "incremental" || h.SQLiteVersionName() != "3.40.12" {
		t.Errorf("WAL %v, count valid %v, %s, %s", h.WAL(), h.CountValid(), h.AutoVacuumName(), h.SQLiteVersionName())
	}
	h.Incremental, h.SQLiteVersion, h.ReadVersion = false, 0, 1
	if h.AutoVacuumName() != "full" || h.SQLiteVersionName() != "" || h.WAL() {
		t.Errorf("%s, %q, WAL %v", h.AutoVacuumName(), h.SQLiteVersionName(), h.WAL())
	}
	for encoding, want := range map[uint32]string{0: "UTF-8", 1: "UTF-8", 2: "UTF-16le", 3: "UTF-16be"} {
		if got := (Header{Encoding: encoding}).EncodingName(); got != want {
			t.Errorf("encoding %d is %s", encoding, got)
		}
	}
	for _, h := range []Header{{PageCount: 1, ChangeCounter: 1}, {PageCount: 1, VersionValid: 1}, {}} {
		if h.CountValid() || h.AutoVacuumName() != "none" {
			t.Errorf("%+v: the count is valid: %v", h, h.CountValid())
		}
	}
}
