package engine

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

func TestCheckpoint(t *testing.T) {
	short := 200 * time.Millisecond
	cases := []struct {
		name  string
		mode  CheckpointMode
		other func(t *testing.T, db string) // what somebody else holds
		check func(r CheckpointResult) bool
	}{
		{"passive beside an idle connection", CheckpointPassive, nil, func(r CheckpointResult) bool {
			return r.WAL &&
				r.Complete && r.Pages > 0
		}},
		{"full", CheckpointFull, nil, func(r CheckpointResult) bool { return r.Complete && r.Pages > 0 }},
		{"restart", CheckpointRestart, nil, func(r CheckpointResult) bool { return r.Complete && r.Pages > 0 }},
		{"truncate", CheckpointTruncate, nil, func(r CheckpointResult) bool {
			return r.Complete && r.Pages > 0 &&
				r.Checkpointed == r.Pages
		}},
		{"passive beside a reader", CheckpointPassive, oldReader, func(r CheckpointResult) bool {
			return !r.Busy &&
				!r.Complete && r.Checkpointed < r.Pages
		}},
		{"full beside a reader", CheckpointFull, oldReader, func(r CheckpointResult) bool {
			return r.Busy &&
				!r.Complete && r.Pages > 0
		}},
		{"truncate beside a reader", CheckpointTruncate, oldReader, func(r CheckpointResult) bool {
			return r.Busy &&
				!r.Complete
		}},
		{"restart beside a writer", CheckpointRestart, func(t *testing.T, db string) {
			open(t, db, "BEGIN IMMEDIATE;",
				addRows)
		},
			func(r CheckpointResult) bool { return r.Busy && !r.Complete }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			db := newWAL(t)
			writer := open(t, db, "PRAGMA wal_autocheckpoint=0;", addRows)
			if c.other != nil {
				c.other(t, db)
				writer.run("PRAGMA busy_timeout=0;")
				if c.mode == CheckpointPassive || c.mode == CheckpointFull || c.mode == CheckpointTruncate {
					writer.run(addRows)
				}
			}
			result, err := Checkpoint(context.Background(), db, CheckpointOptions{Mode: c.mode, BusyTimeout: short})
			if err != nil || !c.check(result) {
				t.Errorf("%v, %+v", err, result)
			}
			if info, err := os.Stat(db + "-wal"); c.name == "truncate" && (err != nil || info.Size() != 0) {
				t.Errorf("WAL after truncate: %v, %v", info, err)
			}
		})
	}
}

// oldReader holds a snapshot from before the last commit.
func oldReader(t *testing.T, db string) {
	open(t, db, "BEGIN; SELECT count(*) FROM t;")
}

// TestCheckpointBesideAnother: SQLite answers "busy, -1, -1" while another connection checkpoints.
// That does not mean that there is no WAL. A passive checkpoint does not wait for the other one,
// and is not busy.
func TestCheckpointBesideAnother(t *testing.T) {
	db := newWAL(t)
	open(t, db, addRows)
	shm, err := os.OpenFile(db+"-shm", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer shm.Close()
	const checkpointLock = 121 // https://www.sqlite.org/walformat.html#wal_locks
	if err := osfile.Lock(shm, osfile.Exclusive, checkpointLock, 1); err != nil {
		t.Fatal(err)
	}
	before := osfile.Stat(db + "-wal")
	for _, mode := range []CheckpointMode{CheckpointPassive, CheckpointFull, CheckpointRestart, CheckpointTruncate} {
		result, err := Checkpoint(context.Background(), db, CheckpointOptions{Mode: mode,
			BusyTimeout: 50 * time.Millisecond})
		if err != nil || !result.WAL || result.Complete || result.Busy != (mode != CheckpointPassive) {
			t.Errorf("%s: %v, %+v", mode, err, result)
		}
	}
	if after := osfile.Stat(db + "-wal"); after.Size != before.Size || after.Mtime != before.Mtime {
		t.Error("the WAL has changed")
	}
}

func TestCheckpointNotWAL(t *testing.T) {
	db := newRollback(t)
	before := testkit.TakePicture(t, db)
	result, err := Checkpoint(context.Background(), db, CheckpointOptions{Mode: CheckpointTruncate})
	if err != nil || result.WAL || !result.Complete || result.Pages != 0 {
		t.Errorf("%v, %+v", err, result)
	}
	before.MustMatch(t, db)
}

// TestCheckpointCold: on a database that nobody has open, our close checkpoints everything.
func TestCheckpointCold(t *testing.T) {
	db := crashed(t, "-wal")
	result, err := Checkpoint(context.Background(), db, CheckpointOptions{})
	if err != nil || !result.Complete || result.Pages == 0 {
		t.Errorf("%v, %+v", err, result)
	}
	for _, suffix := range auxSuffixes {
		if _, err := os.Stat(db + suffix); !os.IsNotExist(err) {
			t.Errorf("%s is still there", suffix)
		}
	}
	if got := sqlite(t, db, "SELECT count(*) FROM t;"); got != "600" {
		t.Errorf("%s rows", got)
	}
}

func TestCheckpointBusy(t *testing.T) {
	db := newRollback(t)
	open(t, db, "PRAGMA locking_mode=EXCLUSIVE;", "PRAGMA journal_mode=WAL;", addRows)
	_, err := Checkpoint(context.Background(), db, CheckpointOptions{BusyTimeout: 200 * time.Millisecond})
	wantKind(t, err, KindBusy)
}

func TestCheckpointMissing(t *testing.T) {
	missing := t.TempDir() + "/missing.db"
	_, err := Checkpoint(context.Background(), missing, CheckpointOptions{})
	wantKind(t, err, KindMissing)
	if _, err := os.Stat(missing); !os.IsNotExist(err) {
		t.Error("it was created")
	}
}

// TestCheckpointLetsWritersIn: a checkpoint that a reader blocks keeps no writer waiting for long.
func TestCheckpointLetsWritersIn(t *testing.T) {
	t.Parallel()
	for _, mode := range []CheckpointMode{CheckpointFull, CheckpointRestart, CheckpointTruncate} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			db := newWAL(t)
			writer := open(t, db, "PRAGMA busy_timeout=400;", addRows)
			oldReader(t, db)
			ended := make(chan struct{})
			defer func() { <-ended }() // also if a commit fails
			go func() {
				defer close(ended)
				result, err := Checkpoint(context.Background(), db, CheckpointOptions{Mode: mode,
					BusyTimeout: 2 * time.Second})
				if err != nil || !result.Busy {
					t.Errorf("%v, %+v", err, result)
				}
			}()
			for commits := 0; ; commits++ {
				select {
				case <-ended:
					if commits < 20 {
						t.Errorf("%d commits", commits)
					}
					return
				default:
					writer.run("INSERT INTO t(v) VALUES('y');")
				}
			}
		})
	}
}

// TestCheckpointWaits: a checkpoint that has waited for a reader reports all pages, TRUNCATE too.
func TestCheckpointWaits(t *testing.T) {
	for _, mode := range []CheckpointMode{CheckpointFull, CheckpointRestart, CheckpointTruncate} {
		db := newWAL(t)
		reader := open(t, db, addRows, "BEGIN; SELECT count(*) FROM t;")
		open(t, db, "INSERT INTO t(v) VALUES('y');")
		time.AfterFunc(2*waitPause, func() { reader.run("COMMIT;") })
		result, err := Checkpoint(t.Context(), db, CheckpointOptions{Mode: mode})
		if err != nil || !result.Complete || result.Pages == 0 || result.Checkpointed != result.Pages {
			t.Errorf("%s: %v, %+v", mode, err, result)
		}
	}
}

// TestCheckpointNothing: if there is nothing to do, the database is not even opened.
func TestCheckpointNothing(t *testing.T) {
	for name, make := range map[string]func(db string){
		"no WAL":    func(string) {},
		"empty WAL": func(db string) { writeFile(t, db+"-wal", nil) },
	} {
		for _, mode := range []CheckpointMode{CheckpointPassive, CheckpointTruncate} {
			db := newWAL(t)
			make(db)
			before := testkit.TakePicture(t, filepath.Dir(db))
			result, err := Checkpoint(context.Background(), db, CheckpointOptions{Mode: mode})
			if err != nil || result != (CheckpointResult{WAL: true, Complete: true}) {
				t.Errorf("%s, %s: %v, %+v", name, mode, err, result)
			}
			before.MustMatch(t, filepath.Dir(db))
		}
	}
}

// TestCheckpointElsewhere: only the WAL that the application writes is checkpointed.
func TestCheckpointElsewhere(t *testing.T) {
	db := newWAL(t)
	open(t, db, addRows)
	other := crashed(t, "-wal", "-shm")
	if err := os.Rename(db, other); err != nil { // with an old WAL beside it
		t.Fatal(err)
	}
	before := testkit.TakePicture(t, filepath.Dir(other))
	_, err := Checkpoint(context.Background(), other, CheckpointOptions{BusyTimeout: brief})
	wantKind(t, err, KindElsewhere)
	before.MustMatch(t, filepath.Dir(other))
}
