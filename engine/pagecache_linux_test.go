package engine

import (
	"context"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

// cachedPages reports for each page of a file whether it is in the page cache.
func cachedPages(t *testing.T, f *os.File) []bool {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	page := int64(os.Getpagesize())
	pages := slices.Repeat([]bool{true}, int(info.Size()/page))
	for _, part := range osfile.Uncached(f, 0, info.Size()) {
		for at := part.Offset; at < part.Offset+part.Length; at += page {
			pages[at/page] = false
		}
	}
	return pages
}

// cacheSome puts some pages of a file, and no others, into the page cache, and returns which.
func cacheSome(t *testing.T, db string) []bool {
	t.Helper()
	f, err := os.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // TakeSnapshot refuses what this process has open
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	osfile.Drop(f, osfile.Extent{})
	unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_RANDOM)
	for at := int64(20 << 20); at < 28<<20; at += 8 << 10 {
		f.ReadAt(make([]byte, 1), at)
	}
	pages := cachedPages(t, f)
	if !slices.Contains(pages, false) {
		t.Skip("this file system keeps all files in memory")
	}
	if !slices.Contains(pages, true) {
		t.Fatal("what was just read is not cached")
	}
	return pages
}

// comparePages counts the pages of a file that are no longer in the page cache, and those that are
// there now.
func comparePages(t *testing.T, db string, before []bool) (lost, left int) {
	t.Helper()
	f, err := os.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i, now := range cachedPages(t, f) {
		if before[i] && !now {
			lost++
		} else if !before[i] && now {
			left++
		}
	}
	return lost, left
}

// TestFootprint: after a snapshot, made or given up, those pages of the source are in the page
// cache that were there before.
func TestFootprint(t *testing.T) {
	const rows = "CREATE TABLE big (b); INSERT INTO big SELECT randomblob(4000) " +
		"FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT 7500) SELECT i FROM n);"
	for name, db := range map[string]string{
		"rollback": newRollback(t), "WAL, closed": newWAL(t), "WAL, live": newWAL(t), "crash-left": newRollback(t),
		"crash-left, canceled": newRollback(t),
	} {
		t.Run(name, func(t *testing.T) {
			sqlite(t, db, rows)
			switch name {
			case "WAL, live":
				open(t, db, addRows)
			case "crash-left", "crash-left, canceled":
				writeFile(t, db+"-wal", make([]byte, 4096))
			}
			before := cacheSome(t, db)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s, err := TakeSnapshot(ctx, db, SnapshotOptions{TempDir: t.TempDir(), Progress: func(p Progress) {
				if name == "crash-left, canceled" && p.Phase == PhaseCopy {
					cancel()
				}
			}})
			if err == nil {
				s.Close()
			} else if ctx.Err() == nil {
				t.Fatal(err)
			}
			lost, left := comparePages(t, db, before)
			// Opening a database reads its first pages, and the kernel may need memory meanwhile.
			// What it is still reading ahead from a slow disk cannot be dropped.
			if lost > 64 || left > 64+cacheAhead/os.Getpagesize() {
				t.Errorf("of %d pages %d were dropped that had been cached, %d are cached that had not been",
					len(before), lost, left)
			}
		})
	}
}
