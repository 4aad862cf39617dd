package engine

import (
	"os"
	"testing"
)

// TestFullCheckOfUnusedPages: a full check is also one of the pages that belong to no table.
func TestFullCheckOfUnusedPages(t *testing.T) {
	const freelist = 32 // the offset of its first page and its size: https://sqlite.org/fileformat.html, 1.3
	db := newRollback(t)
	sqlite(t, db, "CREATE TABLE u(x); INSERT INTO u VALUES(zeroblob(50000)); DROP TABLE u;")
	f, err := os.OpenFile(db, os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt(make([]byte, 8), freelist)
	must(t, err)
	must(t, f.Close())
	for _, check := range []Check{CheckQuick, CheckFull} {
		_, _, err := snapshot(t, db, SnapshotOptions{Check: check})
		wantKind(t, err, KindCorrupt)
	}
}
