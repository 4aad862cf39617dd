package engine

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// landed returns the image of a database that these statements have made.
func landed(t *testing.T, statements ...string) *Image {
	t.Helper()
	db := filepath.Join(t.TempDir(), "a.db")
	withConn(t, db, nil, statements...)
	data, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	image, err := ReadImage(t.Context(), bytes.NewReader(data), "a.stream", VerifyOptions{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := image.Close(); err != nil {
			t.Error(err)
		}
	})
	return image
}

func TestQueryAnswers(t *testing.T) {
	image := landed(t, "CREATE TABLE t(id INTEGER PRIMARY KEY, at DATETIME, is_on BOOLEAN, x)",
		"INSERT INTO t VALUES(1, '', 1, NULL), (2, '2026-11-23', 7, x'00ff')", "CREATE TABLE empty(x)")
	for _, c := range []struct {
		sql   string
		row   []any
		holds bool
	}{
		{"SELECT count(*), max(id) FROM t", []any{int64(2), int64(2)}, true},
		{"SELECT count(*) FROM empty", []any{int64(0)}, false},
		{"SELECT x FROM empty", nil, false},
		{"SELECT x FROM t WHERE id = 1", []any{nil}, false},
		{"SELECT x FROM t WHERE id = 2", []any{[]byte{0, 255}}, true},
		{"SELECT x'', 1", []any{[]byte{}, int64(1)}, false},
		{"SELECT at FROM t ORDER BY id", []any{""}, false},
		{"SELECT at, is_on FROM t ORDER BY id DESC", []any{"2026-11-23", int64(7)}, true},
		{"SELECT id FROM t LIMIT 1 OFFSET 1;  ", []any{int64(2)}, true},
		{"SELECT 0.0", []any{0.0}, false},
		{"SELECT 9e999", []any{math.Inf(1)}, true},
		{"SELECT 'a', 'a' -- a comment", []any{"a", "a"}, true},
		{"VALUES('0')", []any{"0"}, true},
		{"WITH RECURSIVE c(n) AS (SELECT 5 UNION ALL SELECT n+1 FROM c) SELECT n FROM c", []any{int64(5)}, true},
		{"SELECT integrity_check FROM pragma_integrity_check", []any{"ok"}, true},
		{fmt.Sprintf("SELECT printf('%%.*c', 1000, 'x')%s", strings.Repeat(", 1", 20)),
			append([]any{strings.Repeat("x", maxAnswerValue)}, slices.Repeat([]any{int64(1)}, 7)...), true},
	} {
		answer, err := image.Query(t.Context(), c.sql, 0)
		if err != nil || !reflect.DeepEqual(answer.Row, c.row) || answer.Holds() != c.holds {
			t.Errorf("%s: %#v, %v, holds: %v", c.sql, answer.Row, err, answer.Holds())
		}
	}
}

func TestQueryRefuses(t *testing.T) {
	image := landed(t, "CREATE TABLE t(x)", "INSERT INTO t VALUES(1)")
	other := filepath.Join(t.TempDir(), "other.db")
	for _, sql := range []string{
		"", ";", "-- nothing", "SELEC 1", "SELECT 1; SELECT 2", "SELECT 1; DROP TABLE t",
		"SELECT x FROM t; DROP TABLE t",
		"SELECT 1) UNION ALL SELECT * FROM (SELECT 2", "SELECT 1); DROP TABLE t; SELECT (1",
		"DELETE FROM t", "DELETE FROM t RETURNING x", "WITH c AS (SELECT 1) INSERT INTO t SELECT * FROM c",
		"CREATE TABLE u(x)", "PRAGMA user_version", "PRAGMA query_only=OFF", "ANALYZE t", "REINDEX t", "t",
		"SAVEPOINT t", "VACUUM INTO '" + other + "'",
		"ATTACH '" + other + "' AS o", "BEGIN",
		"EXPLAIN SELECT 1", "SELECT ?", "SELECT :a", "SELECT no_such_function(1)",
		"SELECT writefile('" + other + "', 'x')",
	} {
		_, err := image.Query(t.Context(), sql, 0)
		wantKind(t, err, KindBadQuery)
	}
	for _, sql := range []string{"SELECT count(*) FROM users", "SELECT y FROM t", "SELECT abs(-9223372036854775808)"} {
		_, err := image.Query(t.Context(), sql, 0)
		wantKind(t, err, KindQuery)
	}
	if _, err := os.Stat(other); err == nil {
		t.Errorf("%s was made", other)
	}
}

// What the schema hides behind a name in a query can neither run forever nor call anything unsafe.
func TestQueryHostileSchema(t *testing.T) {
	bomb := []string{"CREATE TABLE t(x)", "CREATE VIEW v0 AS SELECT * FROM t"}
	for n := range 30 {
		bomb = append(bomb, fmt.Sprintf("CREATE VIEW v%d AS SELECT a.x FROM v%d AS a, v%d AS b", n+1, n, n))
	}
	image := landed(t, append(bomb,
		"CREATE VIEW endless AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c) SELECT count(*) FROM c",
		"CREATE VIEW large AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c) "+
			"SELECT group_concat(n) FROM c",
		"CREATE VIEW unsafe AS SELECT name FROM dbstat",
		"CREATE VIEW self AS SELECT * FROM self")...)
	for _, view := range []string{"v30", "endless", "large", "unsafe", "self"} {
		start := time.Now()
		_, err := image.Query(t.Context(), "SELECT * FROM "+view, 100*time.Millisecond)
		wantKind(t, err, KindQuery)
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("%s took %v", view, took)
		}
		t.Log(err)
	}
	if _, err := image.Query(t.Context(), "SELECT 1", 0); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := image.Query(ctx, "SELECT * FROM endless", time.Hour); err != context.DeadlineExceeded {
		t.Error(err)
	}
}

// The copy of a Queryable snapshot keeps its name until Close.
func TestQuerySnapshot(t *testing.T) {
	temp := t.TempDir()
	snap, err := TakeSnapshot(t.Context(), newWAL(t), SnapshotOptions{TempDir: temp, Queryable: true, Check: CheckNone})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := snap.Image().Query(t.Context(), "SELECT count(*) > 0 FROM t", 0)
	if err != nil || !answer.Holds() {
		t.Errorf("%v, %v", answer, err)
	}
	if err := snap.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}
