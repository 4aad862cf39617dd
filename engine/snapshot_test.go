package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"
)

func TestSnapshotHotJournal(t *testing.T) {
	db := hot(t)
	before := testkit.TakePicture(t, filepath.Dir(db))
	_, _, err := snapshot(t, db, SnapshotOptions{BusyTimeout: 100 * time.Millisecond})
	wantKind(t, err, KindHotJournal)
	before.MustMatch(t, filepath.Dir(db))
}

// TestSnapshotWaits: a transaction that has spilled holds EXCLUSIVE and has a journal with a valid
// header; that is not a crash, and the snapshot waits for its end.
func TestSnapshotWaits(t *testing.T) {
	db := newRollback(t)
	writer := open(t, db, "PRAGMA cache_size=5;", "BEGIN;", "UPDATE t SET v = v || 'y';", addRows)
	_, _, err := snapshot(t, db, SnapshotOptions{BusyTimeout: 100 * time.Millisecond})
	wantKind(t, err, KindBusy)
	time.AfterFunc(200*time.Millisecond, func() { writer.Try("COMMIT;") })
	image, _, err := snapshot(t, db, SnapshotOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := rows(t, image); got != "ok\n600" {
		t.Errorf("the image says %q", got)
	}
}

// TestSnapshotExclusive: the WAL of a connection in exclusive mode has no -shm, but is not ignored.
func TestSnapshotExclusive(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"DELETE", "WAL"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			db := newRollback(t)
			app := open(t, db, "PRAGMA locking_mode=EXCLUSIVE;", "PRAGMA journal_mode="+mode+";", addRows)
			before := testkit.TakePicture(t, filepath.Dir(db))
			start := time.Now()
			_, _, err := snapshot(t, db, SnapshotOptions{BusyTimeout: 300 * time.Millisecond})
			wantKind(t, err, KindBusy)
			if waited := time.Since(start); waited < 250*time.Millisecond || waited > 5*time.Second {
				t.Errorf("waited %v", waited)
			}
			_, _, err = snapshot(t, db, SnapshotOptions{BusyTimeout: usualCommit + 300*time.Millisecond})
			if e := wantKind(t, err, KindExclusive); !strings.Contains(e.Error(), fmt.Sprintf("process %d (sqlite3)",
				app.Pid())) {
				t.Errorf("who is not told: %v", err)
			}
			before.MustMatch(t, filepath.Dir(db))
		})
	}
}

func TestSnapshotCancelLeavesNothing(t *testing.T) {
	db := newWAL(t)
	for _, phase := range []Phase{PhaseWait, PhaseCopy, PhaseCheck} {
		ctx, cancel := context.WithCancel(context.Background())
		temp := t.TempDir()
		_, err := TakeSnapshot(ctx, db, SnapshotOptions{TempDir: temp, PagesPerStep: 1, Progress: func(p Progress) {
			if p.Phase == phase {
				cancel()
			}
		}})
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled in phase %s: %v", phase, err)
		}
		if names, _ := os.ReadDir(temp); len(names) > 0 {
			t.Errorf("cancelled in phase %s: left %v", phase, names)
		}
	}
}

func TestSnapshotUnsuitable(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	writeFile(t, in("empty"), nil)
	writeFile(t, in("text"), []byte("hello\n"))
	writeFile(t, in("magic"), []byte(sqlitefile.HeaderMagic))
	writeFile(t, in("random"), bytes.Repeat([]byte{0xa7, 0x13, 0x99, 0x42}, 4096))
	os.Symlink("nowhere", in("dangling"))
	os.Mkdir(in("dir"), 0o700)
	if err := mkfifo(in("fifo")); err != nil {
		t.Fatal(err)
	}
	cases := map[string]Kind{
		in("missing"): KindMissing, in("dangling"): KindMissing, in("dir"): KindNotDatabase,
		in("fifo"):  KindNotDatabase,
		"/dev/null": KindNotDatabase, "/dev/zero": KindNotDatabase, in("empty"): KindNotDatabase,
		in("text"):  KindNotDatabase,
		in("magic"): KindNotDatabase, in("random"): KindNotDatabase, ":memory:": KindMissing,
		"file:x?mode=rwc": KindMissing,
	}
	for name, kind := range cases {
		before := testkit.TakePicture(t, dir)
		_, _, err := snapshot(t, name, SnapshotOptions{})
		wantKind(t, err, kind)
		if p, _ := Predict(t.Context(), name, SnapshotOptions{}); !errors.Is(p.Err, kind) {
			t.Errorf("%s: predicted %v", name, p.Err)
		}
		before.MustMatch(t, dir)
	}
}

// TestSnapshotOddNeighbours: a FIFO or directory with the name of a -wal, -shm or -journal does not
// make a snapshot hang.
func TestSnapshotOddNeighbours(t *testing.T) {
	for _, suffix := range auxSuffixes {
		for name, make := range map[string]func(string) error{
			"FIFO": mkfifo, "directory": func(path string) error { return os.Mkdir(path, 0o700) },
		} {
			db := newWAL(t)
			if err := make(db + suffix); err != nil {
				t.Fatal(err)
			}
			if suffix == "-shm" {
				writeFile(t, db+"-wal", nil)
			}
			before := testkit.TakePicture(t, filepath.Dir(db))
			if _, _, err := snapshot(t, db, SnapshotOptions{}); err == nil {
				t.Errorf("%s for a %s: no error", name, suffix)
			} else {
				wantKind(t, err, KindUnreadable)
			}
			comesTrue(t, db)
			before.MustMatch(t, filepath.Dir(db))
		}
	}
}

// TestSnapshotNames: whatever a name contains, it is that file and no other.
func TestSnapshotNames(t *testing.T) {
	for _, name := range []string{"a b", "a?mode=rwc", "a#b", "a%41", "a&b;c=d", "é", "new\nline", "-dash", ":memory:",
		"file:x?mode=rwc", `q"'`} {
		db := newWAL(t)
		dir := t.TempDir()
		odd := filepath.Join(dir, name)
		if err := os.Rename(db, odd); err != nil {
			t.Fatal(err)
		}
		before := testkit.TakePicture(t, dir)
		if image, _, err := snapshot(t, odd, SnapshotOptions{}); err != nil {
			t.Errorf("%q: %v", name, err)
		} else if got := rows(t, image); got != "ok\n500" {
			t.Errorf("%q: the image says %q", name, got)
		}
		before.MustMatch(t, dir)
	}
}

func TestSnapshotSymlink(t *testing.T) {
	db := newWAL(t)
	open(t, db, addRows)
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(db, link); err != nil {
		t.Fatal(err)
	}
	image, _, err := snapshot(t, link, SnapshotOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := rows(t, image); got != "ok\n600" {
		t.Errorf("the WAL beside the link's target was not read: %q", got)
	}
}

func TestSnapshotShapes(t *testing.T) {
	shapes := map[string]string{}
	for size := sqlitefile.MinPageSize; size <= sqlitefile.MaxPageSize; size *= 2 {
		shapes[fmt.Sprintf("page_size %d", size)] = fmt.Sprintf("PRAGMA page_size=%d;", size)
	}
	shapes["auto_vacuum full"] = "PRAGMA auto_vacuum=FULL;"
	shapes["auto_vacuum incremental"] = "PRAGMA auto_vacuum=INCREMENTAL;"
	shapes["UTF-16le"] = "PRAGMA encoding='UTF-16le';"
	shapes["UTF-16be"] = "PRAGMA encoding='UTF-16be';"
	shapes["reserved"] = ".filectrl reserve_bytes 32"
	for name, pragma := range shapes {
		for _, mode := range []string{"DELETE", "WAL"} {
			db := filepath.Join(t.TempDir(), "app.db")
			sqlite(t, db, pragma, "PRAGMA journal_mode="+mode+";", fill(300))
			image, info, err := snapshot(t, db, SnapshotOptions{})
			if err != nil {
				t.Errorf("%s, %s: %v", name, mode, err)
				continue
			}
			if got := rows(t, image); got != "ok\n300" || info.WAL != (mode == "WAL") {
				t.Errorf("%s, %s: %q, %+v", name, mode, got, info)
			}
			source, _ := os.ReadFile(db)
			if diff := differingHeaderBytes(source, image); diff != "" {
				t.Errorf("%s, %s: %s", name, mode, diff)
			}
		}
	}
}
