package harness

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit/ledger"
)

// NewLedger creates a database for a writer.
func (b *Bench) NewLedger(name, mode string) string {
	b.Helper()
	b.SQLite(name, "PRAGMA journal_mode="+mode+";", ledger.Schema)
	return b.Path(name)
}

// StartWriter has a process write to a ledger as fast as it can, or with pauses, until the test
// ends. It has no busy timeout.
func StartWriter(t testing.TB, db string, pause time.Duration) ledger.Writer {
	t.Helper()
	return ledger.Start(t, ledger.Order{DB: db, Pause: pause})
}

// Commits returns how many commits a copy of a ledger holds. It fails the test if the copy is not
// consistent.
func (b *Bench) Commits(name string) int {
	b.Helper()
	lines := strings.Split(b.SQLite(name, "PRAGMA integrity_check;", ledger.Sum, ledger.Commits), "\n")
	if len(lines) != 3 || lines[0] != "ok" || lines[1] != ledger.Total {
		b.Fatalf("%s: %q, want ok and a sum of %s", name, lines, ledger.Total)
	}
	n, err := strconv.Atoi(lines[2])
	b.Check(err)
	return n
}
