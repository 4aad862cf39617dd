package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
)

// TestFindingsList: one finding a line, without SQLite's heading, and at most ten.
func TestFindingsList(t *testing.T) {
	many := slices.Repeat([]string{"x"}, maxFindings+1)
	for _, c := range []struct{ rows, want []string }{
		{[]string{"*** in database main ***\nTree 2 page 3: a\n\n  Tree 4: b "},
			[]string{"Tree 2 page 3: a", "Tree 4: b"}},
		{[]string{"row 1 missing from index i", "*** in database main ***"}, []string{"row 1 missing from index i"}},
		{many[:maxFindings], many[:maxFindings]}, {many, many[:maxFindings]}, {nil, nil},
	} {
		if got := (&findings{c.rows}).list(); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q", c.rows, got)
		}
	}
}

// TestMergedFindings: what the parts of a check on all cores have found is one result; a part that
// could not be checked counts most, one that was canceled because of it least.
func TestMergedFindings(t *testing.T) {
	a, b := &findings{[]string{"a"}}, &findings{[]string{"b", "a"}}
	broken := errors.New("broken")
	for _, c := range []struct {
		results []error
		want    string
	}{
		{[]error{nil, nil}, "[] <nil>"},
		{[]error{nil, a, b}, "[a b] SQLite's check found damage"},
		{[]error{context.Canceled, a}, "[a] SQLite's check found damage"},
		{[]error{nil, context.Canceled}, "[] context canceled"},
		{[]error{a, broken, context.Canceled}, "[] broken"},
	} {
		err := merge(c.results)
		var found *findings
		var list []string
		if errors.As(err, &found) {
			list = found.list()
		}
		if got := fmt.Sprint(list, " ", err); got != c.want {
			t.Errorf("%v: %s", c.results, got)
		}
	}
	for err, want := range map[error]bool{nil: false, error(a): false, broken: true, context.Canceled: true} {
		if stops(err) != want {
			t.Errorf("%v stops the others: %v", err, !want)
		}
	}
}

// TestTablesBySize: the largest table is checked first, and that of the schema is not left out.
func TestTablesBySize(t *testing.T) {
	db := newRollback(t)
	sqlite(t, db, "CREATE TABLE small(x); INSERT INTO small VALUES (1); CREATE TABLE large(x);",
		"INSERT INTO large SELECT id FROM t UNION ALL SELECT id FROM t; CREATE TABLE w(x PRIMARY KEY) WITHOUT ROWID;")
	file, err := os.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	c, err := openImage(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	tables, err := (&checker{conn: c}).tablesBySize(t.Context())
	if err != nil || !slices.Equal(tables[:3], []string{"large", "t", "small"}) || len(tables) != 5 ||
		!slices.Contains(tables, "sqlite_schema") || !slices.Contains(tables, "w") {
		t.Errorf("%q, %v", tables, err)
	}
}

// TestLargeWAL: a -wal is large if it has 16 MiB and is more than four times the database.
func TestLargeWAL(t *testing.T) {
	s := openForTest(t, newRollback(t))
	for _, c := range []struct {
		wal, size int64
		want      bool
	}{
		{16 << 20, 1, true}, {16<<20 - 1, 1, false}, {16 << 20, 4<<20 - 1, true}, {16 << 20, 4 << 20, false},
		{1 << 30, 1 << 28, false}, {1<<30 + 1, 1 << 28, true}, {0, 0, false},
	} {
		in := Inspection{Size: c.size, WAL: WAL{Size: c.wal}}
		if found := in.walFindings(s); (len(found) > 0) != c.want {
			t.Errorf("%+v: %v", c, found)
		}
	}
}

// TestWALReader: a connection that reads nothing does not keep the -wal from being checkpointed.
func TestWALReader(t *testing.T) {
	db := newWAL(t)
	open(t, db, addRows)
	s := openForTest(t, db)
	if pid := s.walReader(); pid != 0 {
		t.Errorf("idle: process %d", pid)
	}
	sqlite(t, db, "PRAGMA wal_checkpoint(FULL);")
	reader := open(t, db, "BEGIN; SELECT count(*) FROM t;") // of the main file alone, with mark 0
	if pid := s.walReader(); pid != reader.Pid() {
		t.Errorf("process %d reads, not %d", reader.Pid(), pid)
	}
}
