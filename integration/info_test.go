package integration

import (
	"strings"
	"testing"
)

// info on a database with a WAL: how much is in it, how much of that the database itself lacks, and who has it open.
func TestInfo(t *testing.T) {
	b := newBench(t)
	reader, writer := b.newPinned("app.db")
	b.run("checkpoint", "app.db").exits(0)
	want := answer{"wal_file_exists": true, "wal_size_bytes": int(size(b.path("app.db-wal"))), "wal_frames": 2, "wal_committed_frames": 2,
		"wal_uncheckpointed_frames": 1, "wal_uncheckpointed_bytes": 4096, "held": "yes", "journal_mode": "wal", "page_count": 2}
	b.run("--json", "info", "app.db").exits(0).json().mustBe(t, want)
	human := b.run("info", "app.db").exits(0).stdout
	for _, words := range []string{"2 frames", "2 committed", "1 not checkpointed yet (4.0 KiB)", "yes, a connection has it open", "2 pages of 4096 bytes"} {
		if !strings.Contains(human, words) {
			t.Errorf("no %q in\n%s", words, human)
		}
	}
	reader.Kill()
	writer.Kill()
	b.run("--json", "info", "app.db").exits(0).json().mustBe(t, answer{"held": "no", "wal_committed_frames": 2})
	b.sqlite("app.db", "SELECT 1 FROM t;")
	b.run("--json", "info", "app.db").exits(0).json().mustBe(t, answer{"held": "no", "wal_file_exists": false, "wal_size_bytes": 0, "wal_committed_frames": 0})
	b.newDatabase("rollback.db", 1)
	b.run("--json", "info", "rollback.db").exits(0).json().mustBe(t, answer{"held": "unknown", "journal_mode": "delete", "wal_file_exists": false})
	b.open("rollback.db", "BEGIN; SELECT * FROM t;")
	b.run("--json", "info", "rollback.db").exits(0).json().mustBe(t, answer{"held": "yes"})
}
