package engine

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"
)

// TestCheckCost: what a hostile generated column computes costs no more than the size of the
// database allows, and values that are really stored pass.
func TestCheckCost(t *testing.T) {
	const bomb = "CREATE TABLE g(a, b TEXT AS (%s) NOT NULL); INSERT INTO g(a) VALUES(1),(2);"
	pattern := strings.Repeat("0", 40000)
	for name, c := range map[string]struct {
		sql   string
		level Level
	}{
		"long value":   {fmt.Sprintf(bomb, "a"), LevelStructural},
		"long pattern": {fmt.Sprintf(bomb, "a"), LevelStructural},
		"stored value": {"CREATE TABLE s(a); INSERT INTO s VALUES(zeroblob(30000000));", LevelQuick},
	} {
		db := newRollback(t)
		sqlite(t, db, c.sql)
		switch name {
		case "long value":
			generate(t, db, "hex(zeroblob(400000000))")
		case "long pattern":
			generate(t, db, "hex(zeroblob(300000)) LIKE ''%"+pattern+"1''")
		}
		start := time.Now()
		_, info, err := snapshot(t, db, SnapshotOptions{})
		if err != nil || info.Level != c.level || (info.Reason == "") != (c.level == LevelQuick) {
			t.Errorf("%s: %v, level %s, %q", name, err, info.Level, info.Reason)
		}
		if spent := time.Since(start); spent > 20*time.Second {
			t.Errorf("%s: it took %v", name, spent)
		}
		if c.level == LevelStructural {
			for _, check := range []Check{CheckQuick, CheckFull} {
				_, _, err := snapshot(t, db, SnapshotOptions{Check: check})
				wantKind(t, err, KindCheckIncomplete)
			}
		}
	}
}

// TestCostLimit: the check of an ordinary database takes at most 100 s for a GB, a small part of
// its limit. That of a hostile one is not much more.
func TestCostLimit(t *testing.T) {
	for _, size := range []int64{0, 1e9, 1e12} {
		if limit, usual := costLimit(size), 100*time.Duration(size); limit < 20*usual || limit < 10*time.Second {
			t.Errorf("%d bytes: %v, 20 times the usual is %v", size, limit, 20*usual)
		} else if limit > 10*time.Second+20*usual {
			t.Errorf("%d bytes may take %v", size, limit)
		}
	}
}

// endlessView makes a view of endless rows, and a full-text table that indexes it: the check of the
// table goes through the view.
const endlessView = "CREATE VIEW v AS SELECT i AS docid, i AS rowid, 'x' AS body FROM " +
	"(WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c) SELECT i FROM c); "

const endlessTable = "CREATE VIRTUAL TABLE f%d USING fts4(body, content='v');"

// TestPredictEndless: a check that would be given up is given up by the prediction, too.
func TestPredictEndless(t *testing.T) {
	t.Parallel()
	db := newRollback(t)
	sqlite(t, db, endlessView+fmt.Sprintf(endlessTable, 1))
	p, err := Predict(t.Context(), db, SnapshotOptions{})
	if err != nil || p.Err != nil || p.Level != LevelStructural || p.Reason == "" {
		t.Errorf("%v, %v, level %s, %q", err, p.Err, p.Level, p.Reason)
	}
}

// TestEndlessCheck: a check that costs more than its limit is given up, and the rest is checked.
func TestEndlessCheck(t *testing.T) {
	views, view, column := newRollback(t), newRollback(t), newRollback(t)
	sqlite(t, view, endlessView+fmt.Sprintf(endlessTable, 1))
	sqlite(t, views, endlessView+fmt.Sprintf(strings.Repeat(endlessTable, 4), 1, 2, 3, 4))
	sqlite(t, column,
		"CREATE TABLE g(a, b TEXT AS (a) NOT NULL); INSERT INTO g(a) SELECT value FROM generate_series(1,100000);")
	generate(t, column, "length(hex(zeroblob(400000)))")
	for db, reason := range map[string]string{
		view:   "virtual table f1: its check takes too long",
		views:  "tables: structure only",
		column: "table g: its check takes too long",
	} {
		level, why, err := brieflyChecked(t, db, (*checker).auto)
		if err != nil || level != LevelStructural || !strings.HasSuffix(why, reason) {
			t.Errorf("%v, level %s, %q, want %q", err, level, why, reason)
		}
		_, _, err = brieflyChecked(t, db, func(k *checker, ctx context.Context) (Level, string, error) {
			return k.exactly(ctx, LevelQuick, func(ctx context.Context) error { return k.run(ctx, "quick_check", "") })
		})
		wantKind(t, err, KindCheckIncomplete)
		damageRoot(t, db, "t")
		_, _, err = brieflyChecked(t, db, (*checker).auto)
		wantKind(t, err, KindCorrupt)
	}
}

// brieflyChecked runs a check with a low limit.
func brieflyChecked(t *testing.T, db string, check func(k *checker, ctx context.Context) (Level, string, error)) (
	Level, string, error) {
	t.Helper()
	c, err := openImage(t.Context(), openFile(t, db))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // if it is not given up
	defer cancel()
	return check(&checker{conn: c, name: db, limit: 100 * time.Millisecond}, ctx)
}

// A lateCancel is canceled at some point, without closing its channel.
type lateCancel struct {
	context.Context
	from time.Time
}

func (c lateCancel) Err() error {
	if time.Now().Before(c.from) {
		return nil
	}
	return context.Canceled
}

// TestInterruptedCheck: a check that fails after it was interrupted reports the interruption.
func TestInterruptedCheck(t *testing.T) {
	db := newRollback(t)
	sqlite(t, db,
		"CREATE TABLE g(a, b TEXT AS (a) NOT NULL); INSERT INTO g(a) SELECT value FROM generate_series(1,150);")
	generate(t, db, "iif(a < 150, length(hex(zeroblob(400000))), hex(zeroblob(400000000)))") // slow, then too long
	for _, check := range []Check{CheckQuick, CheckFull} {
		_, _, err := checkImage(context.Background(), openFile(t, db), db, check, nil)
		wantKind(t, err, KindCheckIncomplete)
		_, _, err = checkImage(lateCancel{context.Background(), time.Now().Add(50 * time.Millisecond)}, openFile(t, db),
			db, check, nil)
		if err != context.Canceled {
			t.Errorf("%s: %v", check, err)
		}
	}
}

// quickest returns the time of the quickest of five checks.
func quickest(t *testing.T, check func() error) time.Duration {
	t.Helper()
	best := time.Hour
	for range 5 {
		start := time.Now()
		if err := check(); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(start))
	}
	return best
}

// TestCheckOfManyTables: a full check of many tables costs about what one integrity_check does, and
// where SQLite here cannot check one of them, the time does not grow with their square.
func TestCheckOfManyTables(t *testing.T) {
	db := newRollback(t)
	var tables strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&tables, "CREATE TABLE m%d(x); ", i)
	}
	sqlite(t, db, "BEGIN; "+tables.String()+"COMMIT;")
	image := openFile(t, db)
	c, err := openImage(t.Context(), image)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	one := quickest(t, func() error { return (&checker{conn: c, name: db}).run(t.Context(), "integrity_check", "") })
	full := quickest(t, func() error { _, _, err := checkImage(t.Context(), image, db, CheckFull, nil); return err })
	if full > 10*one+50*time.Millisecond {
		t.Errorf("the full check takes %v, one integrity_check %v", full, one)
	}

	sqlite(t, db, "CREATE TABLE g(a, b AS (a) NOT NULL);")
	generate(t, db, "unknown(a)")
	image = openFile(t, db)
	most := quickest(t, func() error {
		level, reason, err := checkImage(t.Context(), image, db, CheckAuto, nil)
		if level != LevelStructural || !strings.Contains(reason, "structure only") {
			t.Fatalf("level %s, %s, %v", level, reason, err)
		}
		return err
	})
	if most > 100*one+time.Second {
		t.Errorf("the check of most tables takes %v, one integrity_check %v", most, one)
	}
	damageRoot(t, db, "m4999")
	_, _, err = checkImage(t.Context(), openFile(t, db), db, CheckAuto, nil)
	wantKind(t, err, KindCorrupt)
}

// TestUnknownFunction: a generated column that needs a function of the application does not keep
// its table's structure from being checked.
func TestUnknownFunction(t *testing.T) {
	db := newRollback(t)
	sqlite(t, db, "CREATE TABLE g(a, b TEXT AS (a) NOT NULL); INSERT INTO g(a) VALUES(1),(2);")
	generate(t, db, "unknown(a)")
	_, info, err := snapshot(t, db, SnapshotOptions{})
	const reason = "table g: unknown function: unknown()"
	if err != nil || info.Level != LevelStructural || info.Reason != reason {
		t.Errorf("%v, level %s, %q", err, info.Level, info.Reason)
	}
	predicted, _ := Predict(t.Context(), db, SnapshotOptions{})
	if predicted.Err != nil || predicted.Level != LevelStructural || predicted.Reason != reason {
		t.Errorf("predicted: %v, level %s, %q", predicted.Err, predicted.Level, predicted.Reason)
	}
	damageRoot(t, db, "g")
	_, _, err = snapshot(t, db, SnapshotOptions{})
	wantKind(t, err, KindCorrupt)
}

// TestFoundBeforeTheEnd: a check that cannot go on after it has found damage reports the damage.
func TestFoundBeforeTheEnd(t *testing.T) {
	db := newRollback(t)
	sqlite(t, db, "CREATE TABLE g(a, b TEXT AS (a) NOT NULL); INSERT INTO g(a) VALUES(1),(2);")
	generate(t, db, "iif(a = 1, NULL, hex(zeroblob(400000000)))") // in the second row too long
	for _, check := range []Check{CheckAuto, CheckQuick, CheckFull} {
		_, _, err := snapshot(t, db, SnapshotOptions{Check: check})
		wantKind(t, err, KindCorrupt)
	}
}

// damageRoot damages the header of the table's first page.
func damageRoot(t *testing.T, db, table string) {
	t.Helper()
	var page, size int64
	if _,
		err := fmt.Sscan(sqlite(t, db, "SELECT rootpage FROM sqlite_schema WHERE name='"+table+"'; PRAGMA page_size;"),
		&page, &size); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(db, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{0x0d, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, (page-1)*size); err != nil {
		t.Fatal(err)
	}
}

// generate makes b of the table g a generated column with this expression, without computing it.
func generate(t *testing.T, db, expression string) {
	t.Helper()
	sqlite(t, db, "PRAGMA writable_schema=ON;",
		"UPDATE sqlite_schema SET sql='CREATE TABLE g(a, b TEXT AS ("+expression+") NOT NULL)' WHERE name='g';")
}

// TestExcuse: the pages of all tables are looked at only for a table whose own check cannot do it.
func TestExcuse(t *testing.T) {
	failed := sqlite3.Error{Code: sqlite3.ErrError}
	k := checker{}
	if err := k.excuse("f", true, failed, nil); err != nil || len(k.reasons) != 1 {
		t.Error(err, k.reasons)
	}
}
