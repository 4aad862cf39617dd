package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestCheckCost: what a hostile generated column computes costs no more than the size of the database allows, and
// values that are really stored pass.
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

// generate gives the column b of the table g the expression, without computing it.
func generate(t *testing.T, db, expression string) {
	t.Helper()
	sqlite(t, db, "PRAGMA writable_schema=ON;", "UPDATE sqlite_schema SET sql='CREATE TABLE g(a, b TEXT AS ("+expression+") NOT NULL)' WHERE name='g';")
}
