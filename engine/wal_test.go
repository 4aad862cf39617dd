package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile/waltest"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"
)

// A WAL may be truncated at any byte, in a copy or by a crash. The inspection finds what SQLite
// itself then finds.
func TestWALCutAnywhere(t *testing.T) {
	db := filepath.Join(t.TempDir(), "a.db")
	live := open(t, db,
		"PRAGMA page_size=512; PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(x);")
	for i := range 6 {
		live.run(fmt.Sprintf("BEGIN; PRAGMA user_version=%d; INSERT INTO t VALUES(zeroblob(%d)); COMMIT;", i+1,
			200+200*i))
	}
	wal, err := os.ReadFile(db + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	cold := copyDatabase(t, db)
	commits := commitEnds(wal, 512)
	if len(commits) != 7 {
		t.Fatalf("commits end at %v, want 7 of them", commits)
	}
	for n := range len(wal) + 1 {
		var want int64
		for _, end := range commits {
			if n >= end {
				want = int64((end - 32) / (24 + 512))
			}
		}
		if got := committedFrames(t, wal[:n], 512); got != want {
			t.Fatalf("cut to %d bytes: %d committed frames, want %d", n, got, want)
		}
		if n%211 == 0 || slicesNear(commits, n) || n == len(wal) {
			compareWithSQLite(t, cold, wal[:n], fmt.Sprintf("cut to %d bytes", n))
		}
	}
	for n := 5; n < len(wal); n += 397 {
		flipped := bytes.Clone(wal)
		flipped[n] ^= 0x10
		compareWithSQLite(t, cold, flipped, fmt.Sprintf("byte %d flipped", n))
	}
	waltest.Seal(wal, 512, binary.BigEndian)
	compareWithSQLite(t, cold, wal, "big-endian")
	waltest.Seal(wal, 512, binary.LittleEndian)
	compareWithSQLite(t, cold, wal, "little-endian")
}

// commitEnds lists the offsets after the frames that commit.
func commitEnds(wal []byte, pageSize int) (ends []int) {
	for end := 32 + 24 + pageSize; end <= len(wal); end += 24 + pageSize {
		if binary.BigEndian.Uint32(wal[end-24-pageSize+4:]) != 0 {
			ends = append(ends, end)
		}
	}
	return ends
}

func slicesNear(offsets []int, n int) bool {
	for _, offset := range offsets {
		if n >= offset-1 && n <= offset+1 {
			return true
		}
	}
	return false
}

// compareWithSQLite puts a WAL beside a database, inspects it, and then has the sqlite3 shell
// recover it.
func compareWithSQLite(t *testing.T, db string, wal []byte, what string) {
	t.Helper()
	os.Remove(db + "-shm")
	if err := os.WriteFile(db+"-wal", wal, 0o600); err != nil {
		t.Fatal(err)
	}
	main, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	before := testkit.TakePicture(t, filepath.Dir(db))
	in, err := Inspect(t.Context(), db)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	before.MustMatch(t, filepath.Dir(db))
	got := fmt.Sprintf("%d %d %d %d", in.UserVersion, in.PageCount, in.FreelistCount, in.WAL.CommittedFrames)
	if want := recoveredBySQLite(t, db); got != want {
		t.Errorf("%s: user version, pages, freelist, frames: %s, want as SQLite says %s", what, got, want)
	}
	if err := os.WriteFile(db, main, 0o600); err != nil {
		t.Fatal(err)
	}
}

// recoveredBySQLite asks a real connection, which recovers the WAL.
func recoveredBySQLite(t *testing.T, db string) string {
	t.Helper()
	answer := strings.Fields(sqlite(t, db,
		"PRAGMA user_version; PRAGMA page_count; PRAGMA freelist_count; PRAGMA wal_checkpoint(PASSIVE);"))
	if len(answer) != 4 {
		t.Fatalf("sqlite3 answers %q", answer)
	}
	frames := strings.Split(answer[3], "|")[1]
	if frames == "-1" {
		frames = "0"
	}
	return strings.Join(answer[:3], " ") + " " + frames
}

func committedFrames(t *testing.T, wal []byte, pageSize int) int64 {
	t.Helper()
	c, err := sqlitefile.ReadWAL(t.Context(), bytes.NewReader(wal), int64(len(wal)), pageSize)
	if err != nil {
		t.Fatal(err)
	}
	return c.Committed
}
