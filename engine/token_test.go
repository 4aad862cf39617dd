package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// later is a clock by which every current time is old enough.
func later() tokenClock {
	return tokenClock{now: func() time.Time { return time.Now().Add(time.Hour) }, lstat: lstatToken, boot: "this"}
}

func mustTake(t testing.TB, c tokenClock, path string) Token {
	t.Helper()
	token, err := c.take(path)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Everything that a commit can do to a file changes the token, and so does another boot.
func TestTokenChanges(t *testing.T) {
	main := filepath.Join(t.TempDir(), "app.db")
	write := func(path string) error { return os.WriteFile(path, []byte("text"), 0o600) }
	changes := []struct {
		name string
		make func() error
	}{
		{"-wal appears", func() error { return write(main + "-wal") }},
		{"-wal is written over", func() error { return write(main + "-wal") }},
		{"-wal is truncated", func() error { return os.Truncate(main+"-wal", 1) }},
		{"-journal appears", func() error { return write(main + "-journal") }},
		{"the database is written over", func() error { return write(main) }},
		{"its times are set back", func() error { return os.Chtimes(main, time.Unix(1, 0), time.Unix(1, 0)) }},
		{"it is replaced", func() error {
			if err := write(main + ".new"); err != nil {
				return err
			}
			return os.Rename(main+".new", main)
		}},
	}
	if err := write(main); err != nil {
		t.Fatal(err)
	}
	clock := later()
	seen := map[Token]string{mustTake(t, clock, main): "the beginning"}
	for _, change := range changes {
		time.Sleep(20 * time.Millisecond) // longer than a tick of any kernel's clock
		if err := change.make(); err != nil {
			t.Fatal(err)
		}
		token := mustTake(t, clock, main)
		if before, ok := seen[token]; ok {
			t.Errorf("%s: the token is that of %s", change.name, before)
		}
		if token != mustTake(t, clock, main) || token.Doubt() != "" {
			t.Errorf("%s: two tokens differ without a change, doubt %q", change.name, token.Doubt())
		}
		seen[token] = change.name
	}
	clock.boot = "next"
	if _, ok := seen[mustTake(t, clock, main)]; ok {
		t.Error("a token outlives a boot")
	}
}

func TestTokenDoubts(t *testing.T) {
	dir := t.TempDir()
	main := filepath.Join(dir, "app.db")
	if err := os.WriteFile(main, header512, 0o600); err != nil {
		t.Fatal(err)
	}
	written := time.Now()
	at := func(d time.Duration) tokenClock {
		c := later()
		c.now = func() time.Time { return written.Add(d) }
		return c
	}
	noBoot := later()
	noBoot.boot = ""
	tests := []struct {
		clock tokenClock
		path  string
		doubt Doubt
	}{
		{at(1500 * time.Millisecond), main, DoubtRecent},
		{at(-time.Hour), main, DoubtRecent}, // the system's clock was set back
		{at(2500 * time.Millisecond), main, ""},
		{noBoot, main, DoubtBoot},
		{later(), "/proc/self/status", DoubtFilesystem},
	}
	for _, test := range tests {
		first, second := mustTake(t, test.clock, test.path), mustTake(t, test.clock, test.path)
		if first.Doubt() != test.doubt || (first == second) != (test.doubt == "") {
			t.Errorf("%s: doubt %q, want %q, equal %v", test.path, first.Doubt(), test.doubt, first == second)
		}
	}
	if err := os.Link(main, main+".link"); err != nil {
		t.Fatal(err)
	}
	if token := mustTake(t, later(), main); token.Doubt() != DoubtHardLinks {
		t.Errorf("hard links: doubt %q", token.Doubt())
	}
}

// SQLite keeps the -wal beside the file that a symbolic link leads to.
func TestTokenOfSymlink(t *testing.T) {
	root := plant(t, []byte("text"), "data/app.db", "data/app.db-wal", "app.db -> data/app.db")
	link, target := mustTake(t, later(), root+"/app.db"), mustTake(t, later(), root+"/data/app.db")
	if link != target || link.WALSize() != 4 {
		t.Errorf("the link's token differs from its target's, or lacks the -wal: %d bytes", link.WALSize())
	}
}

// A copy, even one that root takes, does not change the token: otherwise every copy would cause the
// next one.
func TestTokenSurvivesSnapshot(t *testing.T) {
	for _, mode := range []string{"WAL", "PERSIST"} {
		db := newRollback(t)
		app := open(t, db, "PRAGMA journal_mode="+mode+";", addRows)
		defer app.Close()
		before := mustTake(t, later(), db)
		time.Sleep(20 * time.Millisecond) // longer than a tick of any kernel's clock
		if _, _, err := snapshot(t, db, SnapshotOptions{}); err != nil {
			t.Fatal(err)
		}
		if after := mustTake(t, later(), db); after != before {
			t.Errorf("%s: %+v became %+v", mode, before, after)
		}
	}
}

// To read is no change, even where SQLite makes an empty -wal for it, and removes it.
func TestTokenSurvivesReaders(t *testing.T) {
	db := newWAL(t)
	before := mustTake(t, later(), db)
	app := open(t, db, "SELECT count(*) FROM t;")
	if info, err := os.Stat(db + "-wal"); err != nil || info.Size() != 0 {
		t.Fatalf("no empty -wal: %v", err)
	}
	if opened := mustTake(t, later(), db); opened != before {
		t.Errorf("%+v became %+v", before, opened)
	}
	time.Sleep(20 * time.Millisecond) // longer than a tick of any kernel's clock
	app.run(addRows, "PRAGMA wal_checkpoint(TRUNCATE);")
	committed := mustTake(t, later(), db)
	if committed == before {
		t.Error("a commit, and a checkpoint that empties the -wal, leave the token as it was")
	}
	app.Close()
	if closed := mustTake(t, later(), db); closed != committed {
		t.Errorf("%+v became %+v", committed, closed)
	}
}

func TestTokenErrors(t *testing.T) {
	root := plant(t, nil, "dir/", "gone -> nowhere", "file")
	for name, kind := range map[string]Kind{
		"none": KindMissing, "gone": KindMissing, "file/x": KindUnreadable, "dir": KindUnreadable,
	} {
		if _, err := TakeToken(filepath.Join(root, name)); !errors.Is(err, kind) {
			t.Errorf("%s: error %v, want %s", name, err, kind)
		}
	}
}

func TestTokenText(t *testing.T) {
	main := newWAL(t)
	app := open(t, main, addRows)
	defer app.Close()
	doubted, err := TakeToken(main)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []Token{{}, doubted, mustTake(t, later(), main)} {
		text, err := token.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var read Token
		if err := read.UnmarshalText(text); err != nil || read != token {
			t.Errorf("%s: read as %+v, error %v", text, read, err)
		}
		good := string(text)
		for _, damaged := range []string{"", good[1:], good + " ", "1 " + good, strings.ToUpper(good) + "X"} {
			if err := read.UnmarshalText([]byte(damaged)); err == nil || read != token {
				t.Errorf("%q: accepted, or the token was changed", damaged)
			}
		}
	}
}
