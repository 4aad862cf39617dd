package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"
)

// fill creates a table with n rows; closing the shell decides what becomes of the WAL.
func fill(n int) string {
	return fmt.Sprintf(`CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); CREATE INDEX tv ON t(v);
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<%d)
INSERT INTO t SELECT i, hex(randomblob(40)) FROM c;`, n)
}

const addRows = `INSERT INTO t(v) SELECT v||'x' FROM t LIMIT 100;`

// newWAL makes a WAL database of 500 rows that was closed cleanly.
func newWAL(t testing.TB) string {
	t.Helper()
	db := filepath.Join(t.TempDir(), "app.db")
	sqlite(t, db, "PRAGMA journal_mode=WAL;", fill(500))
	return db
}

func newRollback(t testing.TB) string {
	t.Helper()
	db := filepath.Join(t.TempDir(), "app.db")
	sqlite(t, db, fill(500))
	return db
}

// snapshot takes one into a temporary directory of its own and returns its image; nothing may stay
// behind.
func snapshot(t testing.TB, source string, opts SnapshotOptions) ([]byte, Info, error) {
	t.Helper()
	opts.TempDir = t.TempDir()
	s, err := TakeSnapshot(context.Background(), source, opts)
	if err == nil {
		defer s.Close()
		if names, _ := os.ReadDir(opts.TempDir); len(names) > 0 {
			t.Errorf("the copy still has a name when it can be read: %v", names)
		}
		image, readErr := io.ReadAll(s)
		h, hashErr := s.Hash()
		if readErr != nil || hashErr != nil {
			t.Fatal(readErr, hashErr)
		}
		if int64(len(image)) != s.Size() || len(h.Sum(nil)) != 32 {
			t.Errorf("read %d bytes of %d", len(image), s.Size())
		}
		if names, _ := os.ReadDir(opts.TempDir); len(names) > 0 {
			t.Errorf("left behind: %v", names)
		}
		return image, s.Info(), nil
	}
	if names, _ := os.ReadDir(opts.TempDir); len(names) > 0 {
		t.Errorf("left behind after %v: %v", err, names)
	}
	return nil, Info{}, err
}

// rows counts the rows of t in an image.
func rows(t testing.TB, image []byte) string {
	t.Helper()
	db := filepath.Join(t.TempDir(), "image.db")
	if err := os.WriteFile(db, image, 0o600); err != nil {
		t.Fatal(err)
	}
	return sqlite(t, db, "PRAGMA integrity_check;", "SELECT count(*) FROM t;")
}

func wantKind(t testing.TB, err error, kind Kind) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("got error %v, want kind %s", err, kind)
	}
	if strings.Contains(e.Error(), "\n") {
		t.Errorf("not one line: %q", e.Error())
	}
	return e
}

// TestSnapshotStates takes a snapshot of a database in each state in which one can be found, twice:
// the rows are right, the images identical, and the source's directory is as it was.
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
			state, err := src.readState()
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

// crashed copies a live WAL database of 600 rows, 100 of which are only in the WAL.
func crashed(t testing.TB, suffixes ...string) string {
	t.Helper()
	db := newWAL(t)
	open(t, db, addRows)
	return copyDatabase(t, db, suffixes...)
}

func writeFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// hot copies a rollback database in the middle of a transaction whose cache has spilled.
func hot(t testing.TB) string {
	t.Helper()
	db := newRollback(t)
	open(t, db, "PRAGMA cache_size=5;", "BEGIN;", "UPDATE t SET v = v || 'y';")
	return copyDatabase(t, db, "-journal")
}

func TestSnapshotHotJournal(t *testing.T) {
	db := hot(t)
	before := testkit.TakePicture(t, filepath.Dir(db))
	_, _, err := snapshot(t, db, SnapshotOptions{BusyTimeout: 100 * time.Millisecond})
	wantKind(t, err, KindHotJournal)
	before.MustMatch(t, filepath.Dir(db))
}

// TestSnapshotWaits: a transaction that has spilled holds EXCLUSIVE and has a journal with a valid
// header; it is no crash, and its end is waited for.
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

// TestSnapshotExclusive: the WAL of a connection in exclusive mode has no -shm, and is never
// overlooked.
func TestSnapshotExclusive(t *testing.T) {
	for _, mode := range []string{"DELETE", "WAL"} {
		t.Run(mode, func(t *testing.T) {
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

// TestSnapshotOddNeighbours: what bears the name of a -wal, -shm or -journal and is no file holds
// nobody up.
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

// differingHeaderBytes fails for any difference outside the fields that the backup API sets anew:
// change counter, schema cookie, version-valid-for and SQLite version.
func differingHeaderBytes(a, b []byte) string {
	if len(a) != len(b) {
		return fmt.Sprintf("%d bytes became %d", len(a), len(b))
	}
	for i := range a {
		counter := i >= 24 && i < 28 || i >= 40 && i < 44 || i >= 92 && i < 100
		if a[i] != b[i] && !counter {
			return fmt.Sprintf("byte %d differs", i)
		}
	}
	return ""
}

func TestSnapshotDamage(t *testing.T) {
	cut := func(n int64) func(t *testing.T, db string) {
		return func(t *testing.T, db string) {
			info, err := os.Stat(db)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(db, info.Size()-n); err != nil {
				t.Fatal(err)
			}
		}
	}
	patch := func(offset int64, b ...byte) func(t *testing.T, db string) {
		return func(t *testing.T, db string) {
			f, err := os.OpenFile(db, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt(b, offset); err != nil {
				t.Fatal(err)
			}
		}
	}
	cases := map[string]func(t *testing.T, db string){
		"cut by a byte": cut(1),
		"cut by a page": cut(4096),
		"zeroed page":   patch(3*4096, make([]byte, 4096)...),
		"garbage page":  patch(2*4096, bytes.Repeat([]byte{0xff}, 4096)...),
		"unparsable schema": func(t *testing.T, db string) {
			sqlite(t, db,
				"PRAGMA writable_schema=ON; INSERT INTO sqlite_schema VALUES('table','x','x',2,'CREATE GARBAGE');")
		},
	}
	for name, damage := range cases {
		for mode, make := range map[string]func(testing.TB) string{"rollback": newRollback, "WAL": newWAL} {
			t.Run(name+", "+mode, func(t *testing.T) {
				db := make(t)
				damage(t, db)
				before := testkit.TakePicture(t, filepath.Dir(db))
				_, _, err := snapshot(t, db, SnapshotOptions{})
				e := wantKind(t, err, KindCorrupt)
				if len(e.Findings) == 0 || len(e.Findings) > maxFindings {
					t.Errorf("findings %q", e.Findings)
				}
				before.MustMatch(t, filepath.Dir(db))
			})
		}
	}
	t.Run("check none still copies", func(t *testing.T) {
		db := newRollback(t)
		patch(3*4096, make([]byte, 4096)...)(t, db)
		image, info, err := snapshot(t, db, SnapshotOptions{Check: CheckNone})
		if err != nil || info.Level != LevelNone || len(image) == 0 {
			t.Errorf("%v, %+v", err, info)
		}
	})
	t.Run("tail is left out", func(t *testing.T) {
		db := newRollback(t)
		clean, _, _ := snapshot(t, db, SnapshotOptions{})
		f, _ := os.OpenFile(db, os.O_WRONLY|os.O_APPEND, 0)
		f.WriteString("thirty bytes that do not belong")
		f.Close()
		image, info, err := snapshot(t, db, SnapshotOptions{})
		if err != nil || !bytes.Equal(image, clean) || len(info.Warnings) != 1 {
			t.Errorf("%v, %+v", err, info)
		}
	})
}

// withConn runs statements through the driver, for what the shell cannot make.
func withConn(t testing.TB, db string, prepare func(c *sqlite3.SQLiteConn) error, statements ...string) {
	t.Helper()
	c, err := openConn(db, "mode=rwc")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if prepare != nil {
		if err := prepare(c.SQLiteConn); err != nil {
			t.Fatal(err)
		}
	}
	for _, statement := range statements {
		if err := c.exec(context.Background(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// TestCheckLadder: what an application adds to SQLite lowers the level under auto and fails the
// strict checks.
func TestCheckLadder(t *testing.T) {
	dir := t.TempDir()
	collation := filepath.Join(dir, "collation.db")
	withConn(t, collation, func(c *sqlite3.SQLiteConn) error {
		return c.RegisterCollation("LOCALIZED",
			strings.Compare)
	},
		"CREATE TABLE t(v TEXT)", "INSERT INTO t VALUES('a'),('b')", "CREATE INDEX i ON t(v COLLATE LOCALIZED)")
	function := filepath.Join(dir, "function.db")
	withConn(t, function, func(c *sqlite3.SQLiteConn) error {
		return c.RegisterFunc("myf", func(s string) string { return s }, true)
	}, "CREATE TABLE t(v TEXT)", "INSERT INTO t VALUES('a'),('b')", "CREATE INDEX i ON t(myf(v))")
	tokenizer := filepath.Join(dir, "tokenizer.db")
	sqlite(t, tokenizer, fill(20), "CREATE VIRTUAL TABLE f USING fts4(v); INSERT INTO f VALUES('hello');",
		"PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql='CREATE VIRTUAL TABLE f USING fts4(v, "+
			"tokenize=icu)' WHERE name='f';")
	module := filepath.Join(dir, "module.db")
	sqlite(t, module, fill(20),
		"PRAGMA writable_schema=ON; INSERT INTO sqlite_schema VALUES('table','x','x',0,'CREATE VIRTUAL TABLE x USING "+
			"spellfix1(a)');")
	plain := filepath.Join(dir, "plain.db")
	sqlite(t, plain, fill(20))
	cases := []struct {
		db    string
		check Check
		level Level
		kind  Kind
	}{
		{plain, CheckAuto, LevelQuick, ""}, {plain, CheckQuick, LevelQuick, ""}, {plain, CheckFull, LevelFull, ""},
		{plain, CheckNone, LevelNone, ""},
		{collation, CheckAuto, LevelStructural, ""}, {collation, CheckQuick, "", KindCheckIncomplete},
		{collation, CheckFull, "", KindCheckIncomplete},
		{function, CheckAuto, LevelQuick, ""}, {function, CheckQuick, LevelQuick, ""}, {function, CheckFull, "",
			KindCheckIncomplete},
		{tokenizer, CheckAuto, LevelStructural, ""}, {tokenizer, CheckQuick, "", KindCheckIncomplete},
		{tokenizer, CheckFull, "", KindCheckIncomplete},
		{module, CheckAuto, LevelStructural, ""}, {module, CheckQuick, "", KindCheckIncomplete},
		{module, CheckFull, "", KindCheckIncomplete},
	}
	for _, c := range cases {
		if c.check == CheckAuto {
			comesTrue(t, c.db)
		}
		_, info, err := snapshot(t, c.db, SnapshotOptions{Check: c.check})
		if c.kind != "" {
			wantKind(t, err, c.kind)
			continue
		}
		if err != nil || info.Level != c.level || (info.Reason != "") != (c.level == LevelStructural) {
			t.Errorf("%s, %s: %v, level %q for %q", filepath.Base(c.db), c.check, err, info.Level, info.Reason)
		}
	}
}

// TestCheckStillFindsDamage: a database that needs a missing tokenizer gets no free pass for its
// other tables.
func TestCheckStillFindsDamage(t *testing.T) {
	db := filepath.Join(t.TempDir(), "app.db")
	sqlite(t, db, fill(500), "CREATE VIRTUAL TABLE f USING fts4(v); INSERT INTO f VALUES('hello');",
		"PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql='CREATE VIRTUAL TABLE f USING fts4(v, "+
			"tokenize=icu)' WHERE name='f';",
		"UPDATE sqlite_schema SET rootpage=(SELECT rootpage FROM sqlite_schema WHERE name='t') WHERE name='tv';")
	_, _, err := snapshot(t, db, SnapshotOptions{})
	wantKind(t, err, KindCorrupt)
}

func TestCheckFTS5(t *testing.T) {
	db := filepath.Join(t.TempDir(), "app.db")
	sqlite(t, db, "CREATE VIRTUAL TABLE f USING fts5(v); INSERT INTO f VALUES('hello world'),('good bye');")
	_, info, err := snapshot(t, db, SnapshotOptions{})
	if err != nil {
		t.Fatal(err)
	}
	modules, err := Modules()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(modules, " "), "fts5") {
		if info.Level != LevelStructural || !strings.Contains(info.Reason, "fts5") {
			t.Errorf("without fts5: level %q for %q", info.Level, info.Reason)
		}
		return
	}
	if info.Level != LevelQuick {
		t.Errorf("level %q for %q", info.Level, info.Reason)
	}
	sqlite(t, db, "UPDATE f_data SET block = x'00000000ff' WHERE id > 10;")
	_, _, err = snapshot(t, db, SnapshotOptions{})
	wantKind(t, err, KindCorrupt)
}

// TestSnapshotInProcess: reading a database that this process has open would drop its locks.
func TestSnapshotInProcess(t *testing.T) {
	db := newWAL(t)
	c, err := openConn(db, "mode=rw")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _, err = snapshot(t, db, SnapshotOptions{})
	wantKind(t, err, KindInProcess)
	_, err = Checkpoint(context.Background(), db, CheckpointOptions{})
	wantKind(t, err, KindInProcess)
}

func TestSnapshotCommit(t *testing.T) {
	db := newWAL(t)
	dest := filepath.Join(t.TempDir(), "copy.db")
	s, err := TakeSnapshot(context.Background(), db, SnapshotOptions{Destination: dest})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
	image, err := io.ReadAll(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	onDisk, err := os.ReadFile(dest)
	if err != nil || !bytes.Equal(onDisk, image) {
		t.Errorf("%v; %d bytes on disk, %d read", err, len(onDisk), len(image))
	}
	if names, _ := os.ReadDir(filepath.Dir(dest)); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
	if info, _ := os.Stat(dest); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestSnapshotReplaced(t *testing.T) {
	db := newWAL(t)
	other := newWAL(t)
	_, _, err := snapshot(t, db, SnapshotOptions{Progress: func(p Progress) {
		if p.Phase == PhaseCopy {
			os.Rename(other, db)
		}
	}})
	wantKind(t, err, KindChanged)
}

// TestSnapshotGuard: what is read without locks is discarded when somebody writes meanwhile.
func TestSnapshotGuard(t *testing.T) {
	db := newWAL(t)
	disturbed := 0
	image, _, err := snapshot(t, db, SnapshotOptions{PagesPerStep: 1, Progress: func(p Progress) {
		if p.Phase == PhaseCopy && disturbed == 0 {
			disturbed++
			sqlite(t, db, addRows)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got := rows(t, image); got != "ok\n600" || disturbed != 1 {
		t.Errorf("the image says %q after %d disturbances", got, disturbed)
	}
}

// TestSnapshotLock: an application that closes while the source is read does not take its -wal
// away.
func TestSnapshotLock(t *testing.T) {
	db := newWAL(t)
	src, err := openSource("open", db)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	p, err := src.beginRead(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, pinned := range []bool{true, false} {
		sqlite(t, db, addRows)
		if _, err := os.Stat(db + "-wal"); (err == nil) != pinned {
			t.Errorf("read %v: after the application has closed, the -wal: %v", pinned, err)
		}
		p.Close()
	}
}

// TestCheckFullFindsTheSame: split over connections, the full check finds what integrity_check
// finds.
func TestCheckFullFindsTheSame(t *testing.T) {
	const writable = "PRAGMA writable_schema=ON;"
	damages := map[string]func(db string){
		"row missing from a table": func(db string) { // deleted while the index was not in the schema
			root := sqlite(t, db, "SELECT rootpage FROM sqlite_schema WHERE name='ub';")
			sqlite(t, db, writable, "DELETE FROM sqlite_schema WHERE name='ub';")
			sqlite(t, db, "DELETE FROM u WHERE a < 4;")
			sqlite(t, db, writable,
				"INSERT INTO sqlite_schema VALUES('index','ub','u',"+root+",'CREATE INDEX ub ON u(b)');")
		},
		"not unique": func(db string) {
			sqlite(t, db, "UPDATE u SET b='x' WHERE a < 3;", writable,
				"UPDATE sqlite_schema SET sql='CREATE UNIQUE INDEX ub ON u(b)' WHERE name='ub';")
		},
		"zeroed page": func(db string) {
			data, err := os.ReadFile(db)
			if err != nil {
				t.Fatal(err)
			}
			clear(data[5*4096 : 6*4096])
			writeFile(t, db, data)
		},
		"cell beyond its page": func(db string) {
			data, err := os.ReadFile(db)
			if err != nil {
				t.Fatal(err)
			}
			copy(data[5*4096+8:], "\x0f\xff") // the first cell pointer of a leaf
			writeFile(t, db, data)
		},
	}
	for name, damage := range damages {
		db := filepath.Join(t.TempDir(), "app.db")
		sqlite(t, db, fill(500), "CREATE TABLE u(a, b); CREATE INDEX ub ON u(b); INSERT INTO u SELECT id, v FROM t;")
		damage(db)
		want := integrityCheck(t, db)
		_, _, err := snapshot(t, db, SnapshotOptions{Check: CheckFull})
		got := wantKind(t, err, KindCorrupt).Findings
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			t.Errorf("%s: integrity_check says\n%s\nwe say\n%s", name, strings.Join(want, "\n"),
				strings.Join(got, "\n"))
		}
	}
}

// integrityCheck is what one PRAGMA integrity_check says.
func integrityCheck(t testing.TB, db string) []string {
	t.Helper()
	f, err := os.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := openImage(context.Background(), f)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.exec(context.Background(), "PRAGMA cell_size_check=OFF"); err != nil { // as it is in the shell
		t.Fatal(err)
	}
	k := checker{conn: c}
	var found *findings
	if err := k.run(context.Background(), "integrity_check", ""); !errors.As(err, &found) {
		t.Fatalf("%s is not damaged: %v", db, err)
	}
	return found.list()
}
