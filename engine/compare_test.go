package engine

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCompare(t *testing.T) {
	same := []string{
		"CREATE TABLE t(id INTEGER PRIMARY KEY, x)", "CREATE INDEX i ON t(x)",
		"CREATE TABLE w(x PRIMARY KEY) WITHOUT ROWID", "INSERT INTO w VALUES('a')",
		"CREATE VIRTUAL TABLE f USING fts5(x)", "INSERT INTO f VALUES('one'), ('two')",
	}
	there := landed(t, append(slices.Clone(same),
		"INSERT INTO t(id) VALUES(1), (2), (7)", "INSERT INTO f VALUES('three')",
		"CREATE TABLE sessions(x)", "INSERT INTO sessions VALUES(1)", "CREATE VIEW v AS SELECT 1",
		"CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END", "CREATE TABLE changed(a, b)", "ANALYZE")...)
	here := landed(t, append(slices.Clone(same), "INSERT INTO t(id) VALUES(1)", "CREATE TABLE older(x)",
		"CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 2; END", "CREATE TABLE changed(a)",
		"INSERT INTO w VALUES('b')")...)
	got, err := here.Compare(t.Context(), there, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := Comparison{
		Schema: []string{
			"table changed is defined differently", "table older is not in the other database",
			"table sessions is missing", "trigger g is defined differently", "view v is missing",
		},
		Tables: []TablePair{
			{"changed", &Table{}, &Table{}}, {"f", &Table{Rows: 2}, &Table{Rows: 3}}, {"older", &Table{}, nil},
			{"sessions", nil, &Table{1, 1}}, {"t", &Table{1, 1}, &Table{3, 7}}, {"w", &Table{Rows: 2}, &Table{Rows: 1}},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	var behind []int64
	for _, pair := range got.Tables {
		behind = append(behind, pair.Behind())
	}
	if !slices.Equal(behind, []int64{0, 1, 0, 1, 2, 0}) {
		t.Errorf("behind: %v", behind)
	}
	if got, err := here.Compare(t.Context(), here, 0); err != nil || len(got.Schema) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestCompareEndless: a full-text table whose content is a view of endless rows.
func TestCompareEndless(t *testing.T) {
	hostile := landed(t, endlessView+"CREATE VIRTUAL TABLE f USING fts5(body, content='v', content_rowid='docid')")
	_, err := hostile.Compare(t.Context(), landed(t, "CREATE TABLE t(x)"), 300*time.Millisecond)
	if e := wantKind(t, err, KindQuery); !strings.Contains(e.Error(), "no answer within 300ms") {
		t.Error(e)
	}
}
