package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"
)

// inspect inspects db and checks what every inspection promises: nothing has changed, and it was
// quick.
func inspect(t *testing.T, db string) Inspection {
	t.Helper()
	before := testkit.TakePicture(t, filepath.Dir(db))
	in, err := Inspect(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	before.MustMatch(t, filepath.Dir(db))
	return in
}

// A fixture makes a database in some state and returns its path.
type fixture func(t *testing.T) string

func walDatabase(t *testing.T) string {
	db := filepath.Join(t.TempDir(), "app.db")
	sqlite(t, db, "PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES(zeroblob(20000));")
	return db
}

func rollbackDatabase(t *testing.T) string {
	db := filepath.Join(t.TempDir(), "app.db")
	sqlite(t, db, "CREATE TABLE t(x); INSERT INTO t VALUES(zeroblob(20000));")
	return db
}

// liveWAL has a connection, and three frames of which none is checkpointed.
func liveWAL(t *testing.T) string {
	db := walDatabase(t)
	open(t, db, "PRAGMA wal_autocheckpoint=0; CREATE TABLE u(x); INSERT INTO u VALUES(1);")
	return db
}

// spilled has an open transaction that has already written to the main file.
func spilled(t *testing.T) string {
	db := rollbackDatabase(t)
	open(t, db, "PRAGMA cache_size=1; PRAGMA cache_spill=1; BEGIN; INSERT INTO t VALUES(zeroblob(500000));")
	return db
}

// The journal is read, then the locks, then the journal again: no race may mislead that.
func TestJudgeJournal(t *testing.T) {
	present := func(nonce byte) func() (sqlitefile.JournalHeader, Journal) {
		return func() (sqlitefile.JournalHeader, Journal) {
			return sqlitefile.JournalHeader{0: 0xd9, 12: nonce}, JournalPresent
		}
	}
	gone := func() (sqlitefile.JournalHeader, Journal) { return sqlitefile.JournalHeader{}, JournalNone }
	cases := []struct {
		name          string
		first, second func() (sqlitefile.JournalHeader, Journal)
		quiet         bool
		want          Journal
	}{
		{"none", gone, present(1), true, JournalNone},
		{"a transaction", present(1), present(1), false, JournalPresent},
		{"a transaction that ends", present(1), gone, true, JournalNone},
		{"a transaction that ends, and another", present(1), present(2), true, JournalPresent},
		{"a crash", present(1), present(1), true, JournalHot},
	}
	for _, c := range cases {
		reads := []func() (sqlitefile.JournalHeader, Journal){c.first, c.second}
		read := func() (sqlitefile.JournalHeader, Journal) {
			next := reads[0]
			reads = reads[1:]
			return next()
		}
		if got := judgeJournal(read, func() bool { return c.quiet }); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// SQLite agrees about the states whose names are the inspection's own.
func TestInspectAgreesOnHotAndMode(t *testing.T) {
	hot := copyDatabase(t, spilled(t), "-journal")
	out, err := trySQLite("file:"+hot+"?mode=ro", "SELECT count(*) FROM t;")
	if err == nil || !strings.Contains(out, "readonly") {
		t.Errorf("the fixture's journal is not hot: %v, %s", err, out)
	}
	stray := rollbackDatabase(t)
	writeFile(t, stray+"-wal", noise(50000))
	if mode := sqlite(t, stray, "PRAGMA journal_mode;"); mode != "wal" {
		t.Errorf("with a stray log SQLite says %s", mode)
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func TestInspectNotADatabase(t *testing.T) {
	cases := []struct {
		name string
		make func(path string) error
		kind Kind
		says string
	}{
		{"missing", func(string) error { return nil }, KindMissing, "no such file"},
		{"dangling symlink", func(path string) error { return os.Symlink("nowhere", path) }, KindMissing,
			"no such file"},
		{"directory", func(path string) error { return os.Mkdir(path, 0o700) }, KindNotDatabase, "directory"},
		{"FIFO", func(path string) error { return syscall.Mkfifo(path, 0o600) }, KindNotDatabase, "not a regular file"},
		{"device", func(path string) error { return os.Symlink("/dev/null", path) }, KindNotDatabase,
			"not a regular file"},
		{"socket", func(path string) error {
			listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err == nil {
				listener.SetUnlinkOnClose(false)
				listener.Close()
			}
			return err
		}, KindNotDatabase, "not a regular file"},
		{"empty", func(path string) error { return os.WriteFile(path, nil, 0o600) }, KindNotDatabase, "empty file"},
		{"text", func(path string) error { return os.WriteFile(path, []byte("hi\n"), 0o600) }, KindNotDatabase,
			"not a SQLite database"},
		{"magic only", func(path string) error { return os.WriteFile(path, []byte(sqlitefile.HeaderMagic), 0o600) },
			KindNotDatabase, "not a SQLite database"},
		{"random", func(path string) error { return os.WriteFile(path, noise(8192), 0o600) }, KindNotDatabase,
			"encrypted?"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			if err := c.make(path); err != nil {
				t.Fatal(err)
			}
			before := testkit.TakePicture(t, filepath.Dir(path))
			_, err := Inspect(t.Context(), path)
			before.MustMatch(t, filepath.Dir(path))
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want of kind %s and to say %q", err, c.kind, c.says)
			}
		})
	}
}

// A -wal that cannot be read may hold the newest commit: then there is an error instead of an
// outdated answer.
func TestInspectUnreadableWAL(t *testing.T) {
	db := walDatabase(t)
	if err := os.Mkdir(db+"-wal", 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := Inspect(t.Context(), db)
	if !errors.Is(err, KindUnreadable) || !strings.Contains(err.Error(), "app.db-wal") {
		t.Errorf("error %v, want unreadable and the name of the -wal", err)
	}
}

func TestInspectCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Inspect(ctx, liveWAL(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want canceled", err)
	}
}

// SQLite before 3.7.0 left the header's page count alone; then the size of the file counts.
func TestInspectPageCountNotValid(t *testing.T) {
	db := rollbackDatabase(t)
	data, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	data[92]++
	writeFile(t, db, append(data, make([]byte, 5000)...))
	in := inspect(t, db)
	if want := sqlite(t, db, "PRAGMA page_count;"); strconv.FormatInt(in.PageCount, 10) != want {
		t.Errorf("%d pages, SQLite says %s", in.PageCount, want)
	}
}

func TestInspectNamesAndOwner(t *testing.T) {
	testkit.NeedsRoot(t)
	db := walDatabase(t)
	if err := os.Chmod(db, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(db, 1234, 5678); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(db, db+" 2"); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(db, link); err != nil {
		t.Fatal(err)
	}
	open(t, db, "CREATE TABLE u(x);")
	in, err := Inspect(t.Context(), link)
	if err != nil {
		t.Fatal(err)
	}
	if in.Path != link || in.ResolvedPath != db || in.HardLinks != 2 || in.UID != 1234 || in.GID != 5678 ||
		in.Mode != 0o640 {
		t.Errorf("%+v", in)
	}
	if in.WAL.CommittedFrames != 2 {
		t.Errorf("%d committed frames beside the target of the link, want 2", in.WAL.CommittedFrames)
	}
}
