package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mattn/go-sqlite3"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// differingHeaderBytes fails for any difference outside the fields that the backup API sets: change
// counter, schema cookie, version-valid-for and SQLite version.
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

// cut removes bytes from the end of a database.
func cut(n int64) func(t *testing.T, db string) {
	return func(t *testing.T, db string) {
		info, err := os.Stat(db)
		if err == nil {
			err = os.Truncate(db, info.Size()-n)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// patch overwrites some bytes of a database.
func patch(offset int64, b ...byte) func(t *testing.T, db string) {
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

func TestSnapshotDamage(t *testing.T) {
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
}

// TestSnapshotNotRefused: damage that is not searched for, or does not matter.
func TestSnapshotNotRefused(t *testing.T) {
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

// TestCheckStillFindsDamage: that a tokenizer is missing does not keep the other tables from being
// checked.
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

// integrityCheck returns what a single PRAGMA integrity_check says.
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
