package engine

import (
	"context"
	"errors"
	"fmt"
)

// lockBytePage is the page that holds SQLite's lock bytes. It is never written, and the last page of no database.
func lockBytePage(pageSize int64) int64 { return pendingByte/pageSize + 1 }

// checkWhole finds what SQLite's check cannot see: pages that are missing from the end of the main file, which SQLite
// takes for zeros. It returns how many bytes follow the last page.
func checkWhole(ctx context.Context, p *pin) (tail int64, err error) {
	size, want := stampPath(p.source.path).size, p.pages*p.pageSize
	if p.pages == lockBytePage(p.pageSize) {
		return 0, notWhole(p, "its last page is the one that SQLite never uses", fmt.Sprintf("page_count %d", p.pages))
	}
	logged := p.how == accessShared || p.how == accessCopy
	if size >= want {
		if logged {
			return 0, nil // what follows may be pages that a transaction in the WAL has freed
		}
		return size - want, nil
	}
	if logged {
		missing, err := p.missingPages(ctx, size/p.pageSize)
		if err != nil || missing == 0 {
			return 0, err
		}
		return 0, notWhole(p, "the file is cut short",
			fmt.Sprintf("%d of %d pages are neither in the file nor in the WAL", missing, p.pages))
	}
	return 0, notWhole(p, "the file is cut short",
		fmt.Sprintf("size is not page_count × page_size: %d bytes, not %d × %d = %d", size, p.pages, p.pageSize, want))
}

func notWhole(p *pin, what, finding string) error {
	return &Error{Kind: KindCorrupt, Op: "copy", Path: p.source.name, Err: errors.New(what), Findings: []string{finding}}
}

// missingPages counts the pages after the first have ones that the WAL does not hold either. The WAL can only grow meanwhile:
// nobody starts it over before the transaction has ended.
func (p *pin) missingPages(ctx context.Context, have int64) (int64, error) {
	missing := p.pages - have
	if lock := lockBytePage(p.pageSize); lock > have && lock <= p.pages {
		missing--
	}
	wal := openSibling(p.source.path + "-wal")
	defer wal.close()
	if wal.err != nil {
		return 0, sourceError("read", p.source.name, wal.err)
	}
	if wal.file == nil || missing > wal.size/p.pageSize {
		return missing, nil
	}
	logged := make([]bool, p.pages-have)
	_, err := walkWAL(ctx, wal.file, wal.size, int(p.pageSize), func(page int64) {
		if i := page - have - 1; i >= 0 && i < int64(len(logged)) && !logged[i] {
			logged[i] = true
			missing--
		}
	})
	return missing, err
}
