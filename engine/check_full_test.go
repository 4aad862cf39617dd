package engine

import (
	"fmt"
	"os"
	"strings"
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

// TestFullCheckOfManyTables: beyond the number of tables that are checked one by one, a full check
// is also one of the indexes.
func TestFullCheckOfManyTables(t *testing.T) {
	db := newRollback(t)
	var tables strings.Builder
	for n := range maxParts + 1 {
		fmt.Fprintf(&tables, "CREATE TABLE many%d(x);", n)
	}
	sqlite(t, db, "CREATE TABLE a(x, y); CREATE INDEX i ON a(x); INSERT INTO a VALUES(1, 2);",
		"BEGIN;", tables.String(), "COMMIT;", ".dbconfig defensive off", "PRAGMA writable_schema=ON;",
		"UPDATE sqlite_schema SET sql='CREATE INDEX i ON a(y)' WHERE name='i';")
	_, _, err := snapshot(t, db, SnapshotOptions{Check: CheckFull})
	wantKind(t, err, KindCorrupt)
}
