package program

import (
	"math"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// The keys and types that scripts written for the Python original rely on. A number is a count, a
// float has decimals.
var (
	backupKeys     = map[string]any{"source": "", "destination": "", "size_bytes": 0, "sha256": ""}
	checkpointKeys = map[string]any{"mode": "", "busy": false, "wal_pages": 0, "checkpointed_pages": 0,
		"fully_checkpointed": false}
	infoKeys = map[string]any{"path": "", "size_bytes": 0, "journal_mode": "", "wal_file_exists": false,
		"wal_size_bytes": 0,
		"page_size":      0, "page_count": 0, "freelist_count": 0}
)

// mustHave fails the test unless the object has all of these keys, with values of these types.
func mustHave(a harness.Answer, t testing.TB, types map[string]any) {
	t.Helper()
	for key, want := range types {
		ok := false
		switch value := a[key].(type) {
		case string:
			_, ok = want.(string)
		case bool:
			_, ok = want.(bool)
		case float64:
			_, ok = want.(int)
			ok = ok && value >= 0 && value == math.Trunc(value)
		}
		if !ok {
			t.Errorf("%q is %v (%T), want a %T", key, a[key], a[key], want)
		}
	}
	if _, ok := a["elapsed_ms"].(float64); a["command"] != nil && a["command"] != "info" && !ok {
		t.Errorf("elapsed_ms is %v", a["elapsed_ms"])
	}
}

// Command lines of scripts that were written for the original.
func TestOriginalCommands(t *testing.T) {
	b := harness.NewBench(t)
	b.NewDatabase("app.db", 500)
	live := b.Open("app.db", "PRAGMA journal_mode=WAL;")
	for i, line := range []struct {
		args  []string
		check func(harness.Answer)
	}{
		{[]string{"--json", "checkpoint", "app.db"}, isCheckpoint(t, "PASSIVE")},
		{[]string{"--json", "cp", "-m", "TRUNCATE", "app.db"}, isCheckpoint(t, "TRUNCATE")},
		{[]string{"checkpoint", "--mode", "full", "app.db", "--json"}, isCheckpoint(t, "FULL")},
		{[]string{"cp", "app.db", "-m", "restart", "--json"}, isCheckpoint(t, "RESTART")},
		{[]string{"--json", "backup", "app.db", "./b1.db"}, isBackup(t, "./b1.db")},
		{[]string{"--json", "bk", "--pages-per-step", "5", "app.db", "b2.db"}, isBackup(t, "b2.db")},
		{[]string{"bk", "app.db", "b3.db", "--pages-per-step", "100", "--json"}, isBackup(t, "b3.db")},
		{[]string{"--json", "snapshot", "app.db", "b4.db"}, isSnapshot(t, "PASSIVE", "b4.db")},
		{[]string{"snap", "--json", "-m", "truncate", "--pages-per-step", "1", "app.db", "b5.db"},
			isSnapshot(t, "TRUNCATE", "b5.db")},
		{[]string{"--json", "info", "app.db"}, isInfo(t)},
		{[]string{"info", "app.db", "--json"}, isInfo(t)},
	} {
		live.Run("INSERT INTO t VALUES(NULL, " + "'" + string(rune('a'+i)) + "');")
		o := b.Run(line.args...).Exits(0)
		if o.Stdout == "" {
			t.Fatalf("%q: the result is not on stdout", line.args)
		}
		line.check(o.JSON())
	}
	b.Run("backup", "missing.db", "x.db").Exits(3)
	b.Run("--json", "checkpoint", "missing.db").Exits(3)
	b.Run("backup", "app.db", "b1.db").Exits(9)
	b.Run("cp", "-m", "sometimes", "app.db").Exits(2)
}

func isCheckpoint(t *testing.T, mode string) func(harness.Answer) {
	return func(a harness.Answer) {
		t.Helper()
		mustHave(a, t, checkpointKeys)
		a.MustBe(t, harness.Answer{"command": "checkpoint", "database": "app.db", "mode": mode, "busy": false,
			"fully_checkpointed": true})
		if a["wal_pages"].(float64) == 0 || a["wal_pages"] != a["checkpointed_pages"] {
			t.Errorf("%s: %v of %v pages", mode, a["checkpointed_pages"], a["wal_pages"])
		}
	}
}

func isBackup(t *testing.T, dest string) func(harness.Answer) {
	return func(a harness.Answer) {
		t.Helper()
		mustHave(a, t, backupKeys)
		a.MustBe(t, harness.Answer{"command": "backup", "source": "app.db", "destination": dest})
	}
}

func isSnapshot(t *testing.T, mode, dest string) func(harness.Answer) {
	return func(a harness.Answer) {
		t.Helper()
		mustHave(a, t, map[string]any{"command": ""})
		a.MustBe(t, harness.Answer{"command": "snapshot"})
		mustHave(a.At("checkpoint"), t, checkpointKeys)
		a.At("checkpoint").MustBe(t, harness.Answer{"mode": mode, "busy": false, "fully_checkpointed": true})
		mustHave(a.At("backup"), t, backupKeys)
		a.At("backup").MustBe(t, harness.Answer{"source": "app.db", "destination": dest})
	}
}

func isInfo(t *testing.T) func(harness.Answer) {
	return func(a harness.Answer) {
		t.Helper()
		mustHave(a, t, infoKeys)
		a.MustBe(t, harness.Answer{"command": "info", "path": "app.db", "journal_mode": "wal", "wal_file_exists": true,
			"page_size": 4096})
	}
}
