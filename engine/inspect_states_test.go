package engine

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestInspectStates(t *testing.T) {
	cases := []struct {
		name    string
		fixture fixture
		mode    string
		wal     string // exists, committed frames, uncheckpointed frames
		shm     bool
		journal Journal
		held    InUse
		backup  string // begins so
	}{
		{"WAL, closed", walDatabase, "wal", "false 0 0", false, JournalNone, InUseNo,
			"reads without locks: no process"},
		{"WAL, live", liveWAL, "wal", "true 3 3", true, JournalNone, InUseYes, "reads the WAL"},
		{"WAL, live, checkpointed", func(t *testing.T) string {
			db := liveWAL(t)
			sqlite(t, db, "PRAGMA wal_checkpoint(PASSIVE);")
			return db
		}, "wal", "true 3 0", true, JournalNone, InUseYes, "reads the WAL"},
		{"WAL, live, truncated", func(t *testing.T) string {
			db := liveWAL(t)
			sqlite(t, db, "PRAGMA wal_checkpoint(TRUNCATE);")
			return db
		}, "wal", "true 0 0", true, JournalNone, InUseYes, "reads the WAL"},
		{"WAL, crashed", func(t *testing.T) string { return copyDatabase(t, liveWAL(t), "-wal", "-shm") },
			"wal", "true 3 3", true, JournalNone, InUseNo, "reads the WAL"},
		{"WAL, crashed, no -shm", func(t *testing.T) string { return copyDatabase(t, liveWAL(t), "-wal") },
			"wal", "true 3 3", false, JournalNone, InUseNo, "copies the database and its WAL first"},
		{"WAL, -shm of another log", func(t *testing.T) string {
			db := copyDatabase(t, liveWAL(t), "-wal")
			another := liveWAL(t)
			sqlite(t, another, "PRAGMA wal_checkpoint(PASSIVE);")
			other, err := os.ReadFile(another + "-shm")
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, db+"-shm", other)
			return db
		}, "wal", "true 3 3", true, JournalNone, InUseNo, "reads the WAL"},
		{"WAL, garbage log", func(t *testing.T) string {
			db := walDatabase(t)
			writeFile(t, db+"-wal", noise(50000))
			return db
		}, "wal", "true 0 0", false, JournalNone, InUseNo, "copies the database and its WAL first"},
		{"WAL, empty log", func(t *testing.T) string {
			db := walDatabase(t)
			writeFile(t, db+"-wal", nil)
			return db
		}, "wal", "true 0 0", false, JournalNone, InUseNo, "reads without locks"},
		{"WAL, exclusive", func(t *testing.T) string {
			db := walDatabase(t)
			open(t, db, "PRAGMA locking_mode=EXCLUSIVE; INSERT INTO t VALUES(1);")
			return db
		}, "wal", "true 1 1", false, JournalNone, InUseYes, "waits"},
		{"rollback, closed", rollbackDatabase, "delete", "false 0 0", false, JournalNone, InUseUnknown,
			"reads the database"},
		{"rollback, idle connection", func(t *testing.T) string {
			db := rollbackDatabase(t)
			open(t, db, "SELECT count(*) FROM t;")
			return db
		}, "delete", "false 0 0", false, JournalNone, InUseUnknown, "reads the database"},
		{"rollback, reader", func(t *testing.T) string {
			db := rollbackDatabase(t)
			open(t, db, "BEGIN; SELECT count(*) FROM t;")
			return db
		}, "delete", "false 0 0", false, JournalNone, InUseYes, "reads the database"},
		{"rollback, writer", func(t *testing.T) string {
			db := rollbackDatabase(t)
			open(t, db, "BEGIN IMMEDIATE;")
			return db
		}, "delete", "false 0 0", false, JournalNone, InUseYes, "reads the database"},
		{"rollback, writer that has spilled", spilled, "delete", "false 0 0", false, JournalPresent, InUseYes, "waits"},
		{"rollback, exclusive", func(t *testing.T) string {
			db := rollbackDatabase(t)
			open(t, db, "BEGIN EXCLUSIVE;")
			return db
		}, "delete", "false 0 0", false, JournalNone, InUseYes, "waits"},
		{"rollback, hot journal", func(t *testing.T) string { return copyDatabase(t, spilled(t), "-journal") },
			"delete", "false 0 0", false, JournalHot, InUseUnknown, "would be refused: a crash"},
		{"rollback, PERSIST", func(t *testing.T) string {
			db := rollbackDatabase(t)
			sqlite(t, db, "PRAGMA journal_mode=PERSIST; INSERT INTO t VALUES(1);")
			return db
		}, "delete", "false 0 0", false, JournalZeroed, InUseUnknown, "reads the database"},
		{"rollback, TRUNCATE", func(t *testing.T) string {
			db := rollbackDatabase(t)
			sqlite(t, db, "PRAGMA journal_mode=TRUNCATE; INSERT INTO t VALUES(1);")
			return db
		}, "delete", "false 0 0", false, JournalEmpty, InUseUnknown, "reads the database"},
		{"rollback, empty log", func(t *testing.T) string {
			db := rollbackDatabase(t)
			writeFile(t, db+"-wal", nil)
			return db
		}, "delete", "true 0 0", false, JournalNone, InUseUnknown, "reads the database"},
		{"rollback, stray log", func(t *testing.T) string {
			db := rollbackDatabase(t)
			writeFile(t, db+"-wal", noise(50000))
			return db
		}, "wal", "true 0 0", false, JournalNone, InUseNo, "copies the database and its WAL first"},
		{"rollback, FIFO for a journal", func(t *testing.T) string {
			db := rollbackDatabase(t)
			if err := syscall.Mkfifo(db+"-journal", 0o600); err != nil {
				t.Fatal(err)
			}
			return db
		}, "delete", "false 0 0", false, JournalUnknown, InUseUnknown, "would be refused"},
		{"WAL, FIFO for a -shm", func(t *testing.T) string {
			db := copyDatabase(t, liveWAL(t), "-wal")
			if err := syscall.Mkfifo(db+"-shm", 0o600); err != nil {
				t.Fatal(err)
			}
			return db
		}, "wal", "true 3 3", true, JournalNone, InUseUnknown, "would be refused"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := inspect(t, c.fixture(t))
			wal := fmt.Sprint(in.WAL.Exists, in.WAL.CommittedFrames, in.WAL.UncheckpointedFrames)
			if in.JournalMode != c.mode || wal != c.wal || in.ShmExists != c.shm || in.Journal != c.journal ||
				in.InUse != c.held {
				t.Errorf("mode %s, WAL %s, -shm %v, journal %s, held %s\nwant %s, WAL %s, -shm %v, journal %s, held %s",
					in.JournalMode, wal, in.ShmExists, in.Journal, in.InUse, c.mode, c.wal, c.shm, c.journal, c.held)
			}
			if !strings.HasPrefix(in.BackupDetail, c.backup) {
				t.Errorf("a backup %s: %q, want %q", in.Backup, in.BackupDetail, c.backup)
			}
			comesTrue(t, in.Path)
		})
	}
}

// forecastOf returns the forecast for a way to read a database.
func forecastOf(how access) Forecast {
	return [...]Forecast{ForecastReadOnly, ForecastSharedMemory, ForecastImmutable, ForecastPrivateCopy,
		ForecastRefused}[how]
}
