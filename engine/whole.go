package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

// lockBytePage returns the page that holds SQLite's lock bytes. SQLite never writes it, and no
// database ends with it.
func lockBytePage(pageSize int64) int64 { return pendingByte/pageSize + 1 }

// An extent is how large a database is, and whether some of its pages may be in its WAL alone.
type extent struct {
	pageSize, pages int64
	logged          bool
}

func (a access) logged() bool { return a == accessShared || a == accessCopy }

// checkWhole finds what SQLite's check does not: pages that are missing at the end of the main
// file, which SQLite reads as zeros. It returns how many bytes follow the last page.
func (s *sourceFile) checkWhole(ctx context.Context, e extent) (tail int64, err error) {
	size, want := osfile.Stat(s.path).Size, e.pages*e.pageSize
	if e.pages == lockBytePage(e.pageSize) {
		return 0, s.notWhole("its last page is the one that SQLite never uses", fmt.Sprintf("page_count %d", e.pages))
	}
	if size >= want {
		if e.logged {
			return 0, nil // what follows may be pages that a transaction in the WAL has freed
		}
		return size - want, nil
	}
	if e.logged {
		missing, err := s.missingPages(ctx, e, size/e.pageSize)
		if err != nil || missing == 0 {
			return 0, err
		}
		return 0, s.notWhole("the file is truncated",
			fmt.Sprintf("%d of %d pages are neither in the file nor in the WAL", missing, e.pages))
	}
	return 0, s.notWhole("the file is truncated",
		fmt.Sprintf("size is not page_count × page_size: %d bytes, not %d × %d = %d",
			size, e.pages, e.pageSize, want))
}

func (s *sourceFile) notWhole(what, finding string) error {
	return &Error{Kind: KindCorrupt, Op: "copy", Path: s.name, Err: errors.New(what), Findings: []string{finding}}
}

// missingPages counts the pages after the first have that are not in the WAL either. Meanwhile the
// WAL can only grow: it does not restart while the transaction is open.
func (s *sourceFile) missingPages(ctx context.Context, e extent, have int64) (int64, error) {
	missing := e.pages - have
	if lock := lockBytePage(e.pageSize); lock > have && lock <= e.pages {
		missing--
	}
	wal := sqlitefile.OpenAux(s.path + "-wal")
	defer wal.Close()
	if wal.Err != nil {
		return 0, sourceError("read", s.name, wal.Err)
	}
	if wal.File == nil || missing > wal.Size/e.pageSize {
		return missing, nil
	}
	logged := make([]bool, e.pages-have)
	_, err := sqlitefile.WalkWAL(ctx, wal.File, wal.Size, int(e.pageSize), func(page int64) {
		if i := page - have - 1; i >= 0 && i < int64(len(logged)) && !logged[i] {
			logged[i] = true
			missing--
		}
	})
	return missing, err
}
