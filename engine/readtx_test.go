package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

// age makes the files of a database look as if they were last written long ago.
func age(t testing.TB, db string) {
	t.Helper()
	old := time.Now().Add(-time.Hour)
	for _, suffix := range append([]string{""}, auxSuffixes...) {
		if err := os.Chtimes(db+suffix, old, old); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
}

// A hookedContext calls hook when its Err is called for the first time.
type hookedContext struct {
	context.Context
	hook func()
}

func (c *hookedContext) Err() error {
	if hook := c.hook; hook != nil {
		c.hook = nil
		hook()
	}
	return c.Context.Err()
}

func openForTest(t testing.TB, db string) *sourceFile {
	t.Helper()
	src, err := openSource("open", db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// TestUndisturbed: a change of any file that holds data is noticed, and nothing else is. It
// explains an error of SQLite, and pages that are missing.
func TestUndisturbed(t *testing.T) {
	grow := func(path string) error { return os.WriteFile(path, []byte("more"), 0o600) }
	cases := []struct {
		name, suffix string
		change       func(path string) error
		disturbs     bool
	}{
		{"nothing", "", func(string) error { return nil }, false},
		{"database written", "", func(path string) error { return os.Truncate(path, 4096) }, true},
		{"database touched", "", func(path string) error { return os.Chtimes(path, time.Time{}, time.Now()) }, true},
		{"WAL written", "-wal", grow, true},
		{"WAL removed", "-wal", os.Remove, true},
		{"shared memory written", "-shm", grow, false},
		{"shared memory removed", "-shm", os.Remove, true},
		{"journal made", "-journal", grow, true},
	}
	for _, c := range cases {
		db := crashed(t, "-wal", "-shm")
		p := &readTx{source: openForTest(t, db), how: accessImmutable}
		age(t, db)
		p.before = p.source.fileStates()
		if err := c.change(db + c.suffix); err != nil {
			t.Fatal(err)
		}
		if err := p.checkUndisturbed(); errors.Is(err, errDisturbed) != c.disturbs {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, found := range []error{sqlite3.Error{Code: sqlite3.ErrIoErr}, p.source.notWhole("truncated", "")} {
			if err := p.explain(found); errors.Is(err, errDisturbed) != c.disturbs {
				t.Errorf("%s: explained by %v", c.name, err)
			}
		}
	}
}

// TestCopiedFilesAreCompared: the database and its WAL belong together only if nobody wrote while
// they were copied.
func TestCopiedFilesAreCompared(t *testing.T) {
	for _, written := range []bool{false, true} {
		db := crashed(t, "-wal")
		age(t, db)
		src, copying := openForTest(t, db), false
		ctx := &hookedContext{context.Background(), func() {
			if copying = true; written {
				if err := os.Truncate(db+"-wal", 32); err != nil {
					t.Error(err)
				}
			}
		}}
		p, err := src.beginRead(ctx, t.TempDir())
		if err == nil {
			p.Close()
		}
		if !copying || errors.Is(err, errDisturbed) != written || err != nil && !written {
			t.Errorf("copied %v, written meanwhile %v: %v", copying, written, err)
		}
	}
}

// TestCopiedFilesNeedSpace: missing space is found before anything is copied.
func TestCopiedFilesNeedSpace(t *testing.T) {
	db := crashed(t, "-wal")
	temp := t.TempDir()
	var stat unix.Statfs_t
	if err := unix.Statfs(temp, &stat); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(db+"-wal", 2*int64(stat.Bavail)*int64(stat.Bsize)); err != nil { // a hole
		t.Fatal(err)
	}
	age(t, db)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	_, err := openForTest(t, db).beginRead(&hookedContext{ctx, cancel}, temp)
	wantKind(t, err, KindNoSpace)
	if left, _ := filepath.Glob(filepath.Join(temp, "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestTooFresh: a file that was written within the clock's granularity could be written again and
// look the same. Where SQLite's own locks are held that cannot happen unnoticed.
func TestTooFresh(t *testing.T) {
	now, old := osfile.FileState{Mtime: time.Now()}, osfile.FileState{Mtime: time.Now().Add(-time.Hour)}
	ahead := osfile.FileState{Mtime: time.Now().Add(time.Hour)}
	cases := []struct {
		how       access
		locked    bool
		main, wal osfile.FileState
		want      bool
	}{
		{accessImmutable, true, old, osfile.FileState{}, false},
		{accessImmutable, true, now, osfile.FileState{}, false}, // a writer would leave a WAL
		{accessImmutable, false, now, osfile.FileState{}, true},
		{accessImmutable, false, old, osfile.FileState{}, false},
		{accessImmutable, true, old, now, true},
		{accessImmutable, false, ahead, ahead, false},
		{accessCopy, true, now, old, false},
		{accessCopy, false, now, old, true},
		{accessCopy, true, old, now, true},
		{accessReadOnly, false, now, now, false},
		{accessShared, false, now, now, true}, // nobody is seen to hold a lock on the -shm
	}
	for _, c := range cases {
		p := &readTx{how: c.how, locked: c.locked, before: fileStates{main: c.main, wal: c.wal}}
		if got := p.tooFresh(); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
		p.beside.index = true // which only matters where the -shm is used
		if got := p.tooFresh(); got != (c.want && c.how != accessShared) {
			t.Errorf("%+v, beside a connection: %v", c, got)
		}
	}
}
