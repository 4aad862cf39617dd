package engine

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// TestSnapshotStates takes two snapshots of a database in every possible state: the rows are right,
// the images identical, and the source's directory has not changed.
func TestSnapshotStates(t *testing.T) {
	cases := []struct {
		name string
		how  access
		rows string
		make func(t *testing.T) string
	}{
		{"rollback", accessReadOnly, "500", func(t *testing.T) string { return newRollback(t) }},
		{"rollback, held", accessReadOnly, "600", func(t *testing.T) string {
			db := newRollback(t)
			open(t, db, addRows, "BEGIN; SELECT count(*) FROM t;")
			return db
		}},
		{"rollback, reserved by a writer", accessReadOnly, "500", func(t *testing.T) string {
			db := newRollback(t)
			open(t, db, "BEGIN IMMEDIATE;", addRows)
			return db
		}},
		{"rollback, zeroed journal", accessReadOnly, "600", func(t *testing.T) string {
			db := newRollback(t)
			sqlite(t, db, "PRAGMA journal_mode=PERSIST;", addRows)
			return db
		}},
		{"rollback, truncated journal", accessReadOnly, "600", func(t *testing.T) string {
			db := newRollback(t)
			open(t, db, "PRAGMA journal_mode=TRUNCATE;", addRows)
			return db
		}},
		{"rollback, stray WAL", accessCopy, "500", func(t *testing.T) string {
			db := newRollback(t)
			writeFile(t, db+"-wal", bytes.Repeat([]byte("garbage "), 512))
			return db
		}},
		{"rollback, stray shm", accessReadOnly, "500", func(t *testing.T) string {
			db := newRollback(t)
			writeFile(t, db+"-shm", make([]byte, 32768))
			return db
		}},
		{"WAL, closed", accessImmutable, "500", func(t *testing.T) string { return newWAL(t) }},
		{"WAL, closed, empty WAL", accessImmutable, "500", func(t *testing.T) string {
			db := newWAL(t)
			writeFile(t, db+"-wal", nil)
			return db
		}},
		{"WAL, closed, zeroed journal", accessImmutable, "500", func(t *testing.T) string {
			db := newWAL(t)
			writeFile(t, db+"-journal", make([]byte, 512))
			return db
		}},
		{"WAL, closed, stray shm", accessImmutable, "500", func(t *testing.T) string {
			db := newWAL(t)
			writeFile(t, db+"-shm", make([]byte, 32768))
			return db
		}},
		{"WAL, closed, droppings", accessShared, "500", func(t *testing.T) string {
			db := newWAL(t)
			os.Chmod(db, 0o600)
			writeFile(t, db+"-wal", nil)
			writeFile(t, db+"-shm", make([]byte, 32768))
			return db
		}},
		{"WAL, closed, droppings of another mode", accessImmutable, "500", func(t *testing.T) string {
			db := newWAL(t)
			os.Chmod(db, 0o640)
			writeFile(t, db+"-wal", nil)
			writeFile(t, db+"-shm", make([]byte, 32768))
			return db
		}},
		{"WAL, live", accessShared, "600", func(t *testing.T) string {
			db := newWAL(t)
			open(t, db, addRows)
			return db
		}},
		{"WAL, live, transaction open", accessShared, "600", func(t *testing.T) string {
			db := newWAL(t)
			open(t, db, addRows, "BEGIN IMMEDIATE;", addRows)
			return db
		}},
		{"WAL, live, truncated", accessShared, "600", func(t *testing.T) string {
			db := newWAL(t)
			open(t, db, addRows, "PRAGMA wal_checkpoint(TRUNCATE);")
			return db
		}},
		{"WAL, crashed", accessShared, "600", func(t *testing.T) string { return crashed(t, "-wal", "-shm") }},
		{"WAL, crashed, without shm", accessCopy, "600", func(t *testing.T) string { return crashed(t, "-wal") }},
		{"WAL, crashed, empty shm", accessShared, "600", func(t *testing.T) string {
			db := crashed(t, "-wal")
			writeFile(t, db+"-shm", nil)
			return db
		}},
		{"WAL, crashed, empty shm of another mode", accessCopy, "600", func(t *testing.T) string {
			db := crashed(t, "-wal")
			writeFile(t, db+"-shm", nil)
			os.Chmod(db, 0o644)
			return db
		}},
		{"WAL, crashed, header of the WAL alone", accessCopy, "500", func(t *testing.T) string {
			db := crashed(t, "-wal", "-shm")
			if err := os.Truncate(db+"-wal", 32); err != nil {
				t.Fatal(err)
			}
			return db
		}},
		{"WAL, crashed, garbage for a WAL", accessCopy, "500", func(t *testing.T) string {
			db := crashed(t, "-shm")
			writeFile(t, db+"-wal", bytes.Repeat([]byte("garbage "), 512))
			return db
		}},
		{"WAL, garbage for a WAL", accessCopy, "500", func(t *testing.T) string {
			db := newWAL(t)
			writeFile(t, db+"-wal", bytes.Repeat([]byte("garbage "), 512))
			return db
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			db := c.make(t)
			src, err := openSource("open", db)
			if err != nil {
				t.Fatal(err)
			}
			state, _, err := src.survey("open")
			src.Close()
			if err != nil || state.access() != c.how {
				t.Fatalf("state %+v is access %d (%v), want %d", state, state.access(), err, c.how)
			}
			if in := inspect(t, db); in.Backup != forecastOf(c.how) {
				t.Errorf("info says %s, want %s", in.Backup, forecastOf(c.how))
			}
			comesTrue(t, db)
			before := testkit.TakePicture(t, filepath.Dir(db))
			first, info, err := snapshot(t, db, SnapshotOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if info.Level != LevelQuick || len(info.Warnings) > 0 {
				t.Errorf("info %+v", info)
			}
			second, _, err := snapshot(t, db, SnapshotOptions{PagesPerStep: 1})
			if err != nil {
				t.Fatal(err)
			}
			before.MustMatch(t, filepath.Dir(db))
			if !bytes.Equal(first, second) {
				t.Error("two snapshots of an unchanged database differ")
			}
			if got := rows(t, first); got != "ok\n"+c.rows {
				t.Errorf("the image says %q, want %s rows", got, c.rows)
			}
		})
	}
}
