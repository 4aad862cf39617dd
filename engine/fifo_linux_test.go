package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

// soon wants f to end before SQLite counts as hanging. Then it opens the FIFOs that match, so that
// f ends in any case.
func soon(t *testing.T, fifos string, f func()) {
	t.Helper()
	late := time.AfterFunc(stalled/2, func() {
		paths, _ := filepath.Glob(fifos)
		for _, path := range paths {
			osfile.ReleaseFIFO(path)
		}
	})
	defer late.Stop()
	start := time.Now()
	if f(); time.Since(start) > stalled/2 {
		t.Errorf("it took %v", time.Since(start))
	}
}

// TestSourceSwappedForFIFO: SQLite does not wait for the other end of a FIFO.
func TestSourceSwappedForFIFO(t *testing.T) {
	s := openForTest(t, newRollback(t))
	p := &readTx{source: s, how: accessReadOnly}
	must(t, p.connect(t.Context(), ""))
	defer p.conn.Close()
	must(t, mkfifo(s.path+"-journal"))
	soon(t, s.path+"-journal", func() {
		if err := p.beginOnSource(); !errors.Is(err, errDisturbed) {
			t.Errorf("a journal: %v", err)
		}
	})

	s = openForTest(t, newRollback(t))
	must(t, os.Remove(s.path))
	must(t, mkfifo(s.path))
	soon(t, s.path, func() {
		if _, err := s.connect(nil, "mode=ro"); !errors.Is(err, errReplaced) {
			t.Errorf("a source: %v", err)
		}
	})
}

// TestLookEnds: the look for FIFOs has no descriptor of the file any more, which would count as
// another user of it.
func TestLookEnds(t *testing.T) {
	db := newRollback(t)
	file := osfile.Stat(db).Inode()
	for range 100 {
		must(t, withoutFIFOs(db, errReplaced, func() error { time.Sleep(lookInterval); return nil }))
		if n := osfile.OpenInodes()[file]; n > 0 {
			t.Fatalf("%d descriptors", n)
		}
	}
}

// TestManyFIFOs: as many FIFOs as SQLite meets are opened.
func TestManyFIFOs(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.db")
	for _, suffix := range databaseSuffixes {
		must(t, mkfifo(name+suffix))
	}
	start := time.Now()
	soon(t, name+"*", func() {
		err := withoutFIFOs(name, errReplaced, func() error {
			for _, suffix := range databaseSuffixes {
				if time.Since(start) < stalled/2 {
					f, err := os.Open(name + suffix)
					must(t, err)
					f.Close()
				}
			}
			return errDisturbed
		})
		if !errors.Is(err, errReplaced) {
			t.Error(err)
		}
	})
}

// TestBriefFIFO: a FIFO has the name of a source for moments, and then none.
func TestBriefFIFO(t *testing.T) {
	s := openForTest(t, newRollback(t))
	fifo := s.path + ".fifo"
	for i := range 20 {
		swapped := goFunc(nil).run(func() {
			for n := range 25 {
				mkfifo(fifo)
				os.Link(fifo, fmt.Sprint(fifo, i, ".", n))
				unix.Renameat2(unix.AT_FDCWD, s.path, unix.AT_FDCWD, fifo, unix.RENAME_EXCHANGE)
				time.Sleep(time.Millisecond)
				os.Rename(fifo, s.path)
				time.Sleep(time.Millisecond)
			}
		})
		soon(t, fifo+"[0-9]*", func() {
			if c, err := s.connect(nil, "mode=ro"); err == nil {
				c.Close()
			}
		})
		swapped()
	}
}
