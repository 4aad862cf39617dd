package program

import (
	"fmt"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit/ledger"
)

// One hundred copies of a database that keeps changing: all of them are consistent, and the writer
// does not notice.
func TestBackupsBesideWriter(t *testing.T) {
	const backups = 100
	b := harness.NewBench(t)
	alone := writeAlone(b, b.NewLedger("control.db", "WAL"))
	db := b.NewLedger("app.db", "WAL")
	w := harness.StartWriter(t, db, 0)
	for i := range backups {
		sequence := ledger.WALSequence(db)
		harness.Eventually(t, "the writer starts its WAL over",
			func() bool { return ledger.WALSequence(db) != sequence })
		b.Run("backup", "--no-sidecar", "app.db", fmt.Sprintf("copy%d.db", i)).Exits(0)
	}
	did := w.Stop()
	t.Logf("alone: %v", alone)
	t.Logf("beside %d backups: %v", backups, did)
	if did.Restarts < backups {
		t.Errorf("the writer was too slow to prove anything: %v", did)
	}
	if did.Busy > alone.Busy || did.Collisions > alone.Collisions+1 {
		t.Errorf("the database was busy: %v", did)
	}
	mustDiffer(b, backups, did)
}

// writeAlone is the control run: as long as a few backups take.
func writeAlone(b *harness.Bench, db string) ledger.Tally {
	b.Helper()
	w := harness.StartWriter(b, db, 0)
	time.Sleep(time.Second)
	return w.Stop()
}

// mustDiffer fails the test unless the copies, taken one after the other, are consistent, in order,
// and at least 90 of 100 are different.
func mustDiffer(b *harness.Bench, backups int, did ledger.Tally) {
	b.Helper()
	seen, last := map[int]bool{}, 0
	for i := range backups {
		n := b.Commits(fmt.Sprintf("copy%d.db", i))
		if n < last || n > did.Commits {
			b.Errorf("copy %d has %d commits, the one before had %d, the writer made %d", i, n, last, did.Commits)
		}
		seen[n], last = true, n
	}
	b.Logf("%d of %d copies are different", len(seen), backups)
	if len(seen)*100 < backups*90 {
		b.Errorf("only %d of %d copies are different", len(seen), backups)
	}
}
