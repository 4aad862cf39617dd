package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile/waltest"
)

// TestForeignLog: each reason alone for which a -wal cannot be that of the database.
func TestForeignLog(t *testing.T) {
	const pageSize = 4096
	page := func(change, encoding uint32) []byte {
		b := make([]byte, pageSize)
		copy(b, sqlitefile.HeaderMagic+"\x10\x00\x02\x02\x00\x40\x20\x20")
		binary.BigEndian.PutUint32(b[24:], change)
		binary.BigEndian.PutUint32(b[56:], encoding)
		return b
	}
	for _, c := range []struct {
		name     string
		pageSize int
		page1    []byte
		change   uint32
		encoding uint32
		size     int64
		want     string
	}{
		{"the same", pageSize, page(7, 1), 7, 1, 5000, ""},
		{"newer", pageSize, page(8, 1), 7, 1, 5000, ""},
		{"after an overflow", pageSize, page(1, 1), math.MaxUint32, 1, 5000, ""},
		{"older", pageSize, page(6, 1), 7, 1, 5000, "its newest change is 6, the database has change 7"},
		{"another encoding", pageSize, page(8, 2), 7, 1, 5000, "its encoding is UTF-16le, that of the database UTF-8"},
		{"of an empty database", pageSize, page(8, 2), 7, 0, 5000, ""},
		{"another page size", 8192, page(8, 1), 7, 1, 5000, "its pages have 8192 bytes, those of the database 4096"},
		{"without page 1", pageSize, nil, 7, 1, 5000, ""},
		{"no header", 0, page(6, 1), 7, 1, sqlitefile.WALHeaderSize - 1, ""},
		{"not valid", 0, page(8, 1), 7, 1, sqlitefile.WALHeaderSize,
			"its header is not valid, and all of it is ignored"},
	} {
		log := sqlitefile.WAL{Page1: c.page1}
		if c.pageSize > 0 {
			copy(log.Start[:], waltest.Make(1, c.pageSize, binary.LittleEndian))
		}
		h := sqlitefile.Header{PageSize: pageSize, ChangeCounter: c.change, Encoding: c.encoding}
		if got := foreignLog(h, log, c.size); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestPageCount: SQLite believes the header only if its last writer has updated the count.
func TestPageCount(t *testing.T) {
	valid := sqlitefile.Header{PageSize: 512, PageCount: 3, ChangeCounter: 1, VersionValid: 1}
	stale := sqlitefile.Header{PageSize: 512, PageCount: 3, ChangeCounter: 2, VersionValid: 1}
	for _, c := range []struct {
		h         sqlitefile.Header
		committed uint32
		size      int64
		want      int64
	}{
		{valid, 9, 5000, 3}, {stale, 9, 5000, 9}, {stale, 1, 5000, 1}, {stale, 0, 512, 1}, {stale, 0, 513, 2},
		{stale, 0, 0, 0},
	} {
		if got := pageCount(c.h, c.committed, c.size); got != c.want {
			t.Errorf("%+v, %d, %d: %d, want %d", c.h, c.committed, c.size, got, c.want)
		}
	}
	s := &sourceFile{}
	if s.checkCount(math.MaxInt32) != nil || !errors.Is(s.checkCount(math.MaxInt32+1), KindNotDatabase) {
		t.Error("the limit of pages is not that of a C int")
	}
}

// TestStepSize: a step is about 4 MiB, or what the caller asks for, at least a page and at most 64
// MiB.
func TestStepSize(t *testing.T) {
	for _, c := range []struct {
		asked    int
		pageSize int64
		want     int
	}{
		{0, 4096, 1024}, {0, 65536, 64}, {7, 4096, 7}, {1, 65536, 1}, {math.MaxInt32, 4096, 16384},
		{16385, 4096, 16384},
	} {
		if got := (SnapshotOptions{PagesPerStep: c.asked}).step(c.pageSize); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

// TestChooseTempDir: the caller's directory goes before those of the environment, and these before
// the usual ones.
func TestChooseTempDir(t *testing.T) {
	for _, c := range []struct{ asked, sqlite, other, want string }{
		{"/a", "/b", "/c", "/a"}, {"", "/b", "/c", "/b"}, {"", "", "/c", "/c"}, {"", "", "", "/var/tmp"},
	} {
		t.Setenv("SQLITE_TMPDIR", c.sqlite)
		t.Setenv("TMPDIR", c.other)
		if got := chooseTempDir(c.asked); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// TestSpace: what is needed just fits, or just does not.
func TestSpace(t *testing.T) {
	dir := t.TempDir()
	const ample = 1 << 59 // far more than the difference that others make meanwhile
	if err := checkSpace(dir, 1, 1); err != nil {
		t.Error(err)
	}
	for _, c := range [][2]int64{{ample, 0}, {0, ample}} {
		err := checkSpace(dir, c[0], c[1])
		if !errors.Is(err, KindNoSpace) || !strings.Contains(err.Error(), "512 PiB") {
			t.Errorf("%v: %v", c, err)
		}
	}
	if err := checkSpace(filepath.Join(dir, "none"), 0, 0); !errors.Is(err, KindTemp) {
		t.Error(err)
	}
	here := fileStates{main: osfile.Stat(dir)}
	if err := spaceBeside(dir, here, 1)(ample); !errors.Is(err, KindNoSpace) {
		t.Error(err)
	}
	here.wal.Size = ample // the application may write as much again
	if err := spaceBeside(dir, here, 1)(1); !errors.Is(err, KindNoSpace) {
		t.Error(err)
	}
	here.main.Dev++
	if err := spaceBeside(dir, here, 1)(1); err != nil {
		t.Errorf("on another file system: %v", err)
	}
}

// TestRetry: how often something is tried.
func TestRetry(t *testing.T) {
	tries := 0
	busy := func() error { tries++; return osfile.ErrLocked }
	if err := retry(t.Context(), -1, busy); err != osfile.ErrLocked || tries != 1 {
		t.Errorf("without waiting: %d tries, %v", tries, err)
	}
	const timeout = 100 * time.Millisecond
	begin := time.Now()
	if err := retry(t.Context(), timeout, busy); err != osfile.ErrLocked || time.Since(begin) < timeout/2 {
		t.Errorf("after %v: %v", time.Since(begin), err)
	}
	tries = 0
	broken := func() error { tries++; return os.ErrPermission }
	if err := retry(t.Context(), 0, broken); err != os.ErrPermission || tries != 1 {
		t.Errorf("an error that stays: %d tries, %v", tries, err)
	}
	tries = 0
	later := func() error {
		if tries++; tries < 4 {
			return osfile.ErrLocked
		}
		return nil
	}
	if err := retry(t.Context(), 0, later); err != nil || tries != 4 {
		t.Errorf("by default: %d tries, %v", tries, err)
	}
}

// TestExclusiveHolder: an error names the process that has held EXCLUSIVE all the time, for longer
// than a commit takes.
func TestExclusiveHolder(t *testing.T) {
	long, brief := 2*usualCommit, usualCommit/2
	self := os.Getpid()
	for _, c := range []struct {
		held   time.Duration
		pid    int
		varied bool
		err    error
		want   string // empty for the error itself
	}{
		{long, self, false, osfile.ErrLocked, fmt.Sprintf("exclusively by process %d%s, for the whole time", self,
			commandOf(self))},
		{long, 0, false, osfile.ErrLocked, "exclusively by a process that cannot be seen from here"},
		{brief, self, false, osfile.ErrLocked, ""},
		{long, self, true, osfile.ErrLocked, ""},
		{long, self, false, errDisturbed, ""},
		{long, self, false, nil, ""},
	} {
		s := &sourceFile{name: "a.db"}
		err := s.retry(t.Context(), "open", -1, func() error {
			s.holder = lockHolder{time.Now().Add(-c.held), c.pid, c.varied}
			return c.err
		})
		if c.want == "" && err != c.err {
			t.Errorf("%+v: %v", c, err)
		}
		if c.want != "" && (!errors.Is(err, KindExclusive) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if name := commandOf(self); !strings.HasPrefix(name, " (") || commandOf(-1) != "" {
		t.Errorf("this process is%s, another one%s", name, commandOf(-1))
	}
}
