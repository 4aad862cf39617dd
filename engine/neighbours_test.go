//go:build linux

package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile/waltest"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

const brief = 200 * time.Millisecond

// TestWALElsewhere: the newest commits are in a -wal that is not beside the given name.
func TestWALElsewhere(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name   string
		source func(t *testing.T, db string) string
	}{
		{"another name of the file", func(t *testing.T, db string) string {
			other := filepath.Join(t.TempDir(), "app.db")
			if err := os.Link(db, other); err != nil {
				t.Fatal(err)
			}
			return other
		}},
		{"another name, with an old WAL", func(t *testing.T, db string) string {
			other := filepath.Join(t.TempDir(), "app.db")
			if err := os.Link(db, other); err != nil {
				t.Fatal(err)
			}
			old := crashed(t, "-wal", "-shm")
			for _, suffix := range []string{"-wal", "-shm"} {
				if err := os.Rename(old+suffix, other+suffix); err != nil {
					t.Fatal(err)
				}
			}
			return other
		}},
		{"WAL replaced", func(t *testing.T, db string) string {
			if err := os.Rename(crashed(t, "-wal", "-shm")+"-wal", db+"-wal"); err != nil {
				t.Fatal(err)
			}
			return db
		}},
		{"WAL overwritten", func(t *testing.T, db string) string {
			if err := os.WriteFile(db+"-wal", bytes.Repeat([]byte("no WAL"), 10_000), 0o600); err != nil {
				t.Fatal(err)
			}
			return db
		}},
		{"WAL truncated", func(t *testing.T, db string) string {
			must(t, os.Truncate(db+"-wal", osfile.Stat(db+"-wal").Size-1))
			return db
		}},
		{"WAL emptied", func(t *testing.T, db string) string { must(t, os.Truncate(db+"-wal", 0)); return db }},
		{"WAL deleted", func(t *testing.T, db string) string { os.Remove(db + "-wal"); return db }},
		{"shared memory deleted", func(t *testing.T, db string) string { os.Remove(db + "-shm"); return db }},
		{"shared memory made again", func(t *testing.T, db string) string { return openAgain(t, db, "-shm") }},
		{"both made again", func(t *testing.T, db string) string { return openAgain(t, db, "-shm", "-wal") }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			db := newWAL(t)
			open(t, db, addRows)
			source := c.source(t, db)
			_, _, err := snapshot(t, source, SnapshotOptions{BusyTimeout: brief})
			wantKind(t, err, KindElsewhere)
			comesTrue(t, source)
		})
	}
}

// openAgain deletes files under an application, and starts another one.
func openAgain(t *testing.T, db string, suffixes ...string) string {
	for _, suffix := range suffixes {
		must(t, os.Remove(db+suffix))
	}
	open(t, db, "UPDATE t SET v=v;")
	return db
}

// TestLostIndex: a process that uses the -shm of this database may have lost that of another one
// with the same name.
func TestLostIndex(t *testing.T) {
	db, other := newWAL(t), newWAL(t)
	app := open(t, db, addRows, fmt.Sprintf("ATTACH '%s' AS other;", other), "SELECT * FROM other.t;")
	must(t, os.Remove(other+"-shm"))
	open(t, other, addRows)
	for path, want := range map[string]bool{db: false, other: true} {
		s, err := openSource("open", path)
		must(t, err)
		defer s.Close()
		shm, err := os.Open(path + "-shm")
		must(t, err)
		defer shm.Close()
		if got := s.lostIndex(app.Pid(), shm); got != want {
			t.Errorf("%s: lost %v, want %v", path, got, want)
		}
	}
}

// TestMainReplaced: a database that was replaced under its application, by rename, is copied with a
// warning: the application still writes to the old file.
func TestMainReplaced(t *testing.T) {
	db, other := newWAL(t), newWAL(t)
	open(t, db, addRows)
	for _, want := range []bool{false, true} {
		_, info, err := snapshot(t, db, SnapshotOptions{BusyTimeout: brief, Check: CheckNone})
		warned := strings.Contains(strings.Join(info.Warnings, "\n"), "holds no lock on "+db)
		if err != nil || warned != want {
			t.Errorf("%v, warned %v, want %v: %q", err, warned, want, info.Warnings)
		}
		if err := os.Rename(other, db); err != nil && !want {
			t.Fatal(err)
		}
	}
}

// TestSnapshotsTogether: several runs of this program on one database do not take each other for an
// application.
func TestSnapshotsTogether(t *testing.T) {
	for name, make := range map[string]func(t *testing.T) string{
		"rollback":             func(t *testing.T) string { return newRollback(t) },
		"WAL, closed":          func(t *testing.T) string { return newWAL(t) },
		"WAL, crashed":         func(t *testing.T) string { return crashed(t, "-wal", "-shm") },
		"WAL, crashed, no shm": func(t *testing.T) string { return crashed(t, "-wal") },
	} {
		t.Run(name, func(t *testing.T) {
			db := make(t)
			defer testkit.StartRole(t, pinHolder, db).Stop()
			image, _, err := snapshot(t, db, SnapshotOptions{BusyTimeout: brief})
			if err != nil {
				t.Errorf("beside another, %d bytes: %v", len(image), err)
			}
		})
	}
}

// TestUnlocked: what a lock should prevent has happened.
func TestUnlocked(t *testing.T) {
	live := func(t *testing.T) string {
		db := newWAL(t)
		open(t, db, addRows)
		return db
	}
	const touch, restart = `touch "$0"`,
		`touch "$0"; printf salt | dd of="$0-wal" bs=1 seek=16 conv=notrunc status=none`
	cases := []struct {
		name   string
		make   func(t *testing.T) string
		change string
		want   Kind
	}{
		{"rollback", func(t *testing.T) string { return newRollback(t) }, touch, KindUnlocked},
		{"rollback, a writer at its journal", func(t *testing.T) string { return newRollback(t) },
			`: >"$0-journal"; rm "$0-journal"`, ""},
		{"WAL, live, checkpointed", live, touch, ""},
		{"WAL, live, started over", live, restart, KindUnlocked},
		{"WAL, no lock seen", func(t *testing.T) string { return crashed(t, "-wal", "-shm") }, `touch "$0-wal"`,
			KindUnlocked},
		{"WAL, no lock seen, checkpointed", func(t *testing.T) string { return crashed(t, "-wal", "-shm") }, touch,
			KindUnlocked},
		{"WAL, closed", func(t *testing.T) string { return newWAL(t) }, touch, KindBusy},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			db := c.make(t)
			age(t, db)
			_, _, err := snapshot(t, db, SnapshotOptions{BusyTimeout: -1, Progress: func(p Progress) {
				if p.Phase != PhaseCopy {
					return
				}
				if out, err := exec.Command("sh", "-c", c.change, db).CombinedOutput(); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			}})
			if c.want != "" {
				wantKind(t, err, c.want)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCutMainFile: pages that neither the main file nor the WAL holds are not copied as zeros.
func TestCutMainFile(t *testing.T) {
	for _, suffixes := range [][]string{{"-wal", "-shm"}, {"-wal"}} {
		for _, cut := range []int64{0, 1, 3000, 4096, 5000} {
			t.Run(strings.Join(suffixes, "")+" "+strconv.FormatInt(cut, 10), func(t *testing.T) {
				db := newWAL(t)
				open(t, db, "CREATE TABLE blob(b); INSERT INTO blob VALUES(zeroblob(100000));",
					"PRAGMA wal_checkpoint(TRUNCATE);", "UPDATE t SET v=v WHERE id=1;")
				db = copyDatabase(t, db, suffixes...)
				info, err := os.Stat(db)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.Truncate(db, info.Size()-cut); err != nil {
					t.Fatal(err)
				}
				age(t, db)
				_, _, err = snapshot(t, db, SnapshotOptions{BusyTimeout: brief})
				if cut == 0 && err != nil {
					t.Error(err)
				}
				if cut > 0 {
					wantKind(t, err, KindCorrupt)
				}
				all, _, err := snapshot(t, db, SnapshotOptions{BusyTimeout: brief, Check: CheckNone})
				if err != nil || int64(len(all)) != info.Size() {
					t.Errorf("without a check: %v, %d bytes of %d", err, len(all), info.Size())
				}
			})
		}
	}
}

// TestPagesInTheWAL: a main file that is shorter than the database is whole if the WAL has the
// rest.
func TestPagesInTheWAL(t *testing.T) {
	db := newWAL(t)
	open(t, db, "PRAGMA wal_autocheckpoint=0;", "CREATE TABLE blob(b); INSERT INTO blob VALUES(zeroblob(100000));")
	for _, source := range []string{db, copyDatabase(t, db, "-wal", "-shm"), copyDatabase(t, db, "-wal")} {
		age(t, source)
		if _, _, err := snapshot(t, source, SnapshotOptions{}); err != nil {
			t.Error(err)
		}
	}
}

// TestGrain: where only whole seconds are stored, a file must have been unchanged for longer.
func TestGrain(t *testing.T) {
	second := time.Now().Truncate(time.Second)
	whole, exact := osfile.FileState{Mtime: second, Ctime: second}, osfile.FileState{Mtime: second,
		Ctime: second.Add(1)}
	for want, g := range map[time.Duration]fileStates{wholeSecondGrain: {main: whole},
		timeGrain: {main: exact, wal: whole}} {
		if got := g.grain(); got != want {
			t.Errorf("%+v: %v, want %v", g, got, want)
		}
	}
}

// TestLockBytePage: a database that lacks only the page that SQLite never uses is whole.
func TestLockBytePage(t *testing.T) {
	const pageSize, lock = 65536, pendingByte/65536 + 1
	db := filepath.Join(t.TempDir(), "app.db")
	sqlite(t, db, "PRAGMA page_size=65536;", "PRAGMA journal_mode=WAL;", "CREATE TABLE t(x);")
	if err := os.Truncate(db, (lock-1)*pageSize); err != nil {
		t.Fatal(err)
	}
	log := waltest.Make(2, pageSize, binary.LittleEndian)
	for i, frame := range [][]byte{log[32:], log[32+24+pageSize:]} {
		binary.BigEndian.PutUint32(frame, uint32(lock+1+i))
		binary.BigEndian.PutUint32(frame[4:], uint32(i*(lock+2)))
	}
	waltest.Seal(log, pageSize, binary.LittleEndian)
	if err := os.WriteFile(db+"-wal", log, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := openSource("open", db)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for pages, whole := range map[int64]bool{lock + 2: true, lock + 3: false} {
		if _, err := s.checkWhole(t.Context(), extent{pageSize, pages, true}); (err == nil) != whole {
			t.Errorf("%d pages: %v", pages, err)
		}
	}
}
