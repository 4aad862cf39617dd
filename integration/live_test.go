package integration

import (
	"fmt"
	"testing"
	"time"
)

// One hundred copies of a database that never holds still: all of them consistent, and the writer does not notice.
func TestBackupsBesideWriter(t *testing.T) {
	const backups = 100
	b := newBench(t)
	alone := b.writeAlone(b.newLedger("control.db", "WAL"))
	db := b.newLedger("app.db", "WAL")
	w := startWriter(t, db)
	for i := range backups {
		sequence := walSequence(db)
		eventually(t, "the writer starts its WAL over", func() bool { return walSequence(db) != sequence })
		b.run("backup", "--no-sidecar", "app.db", fmt.Sprintf("copy%d.db", i)).exits(0)
	}
	did := w.stop()
	t.Logf("alone: %v", alone)
	t.Logf("beside %d backups: %v", backups, did)
	if did.Restarts < backups {
		t.Errorf("the writer was too slow to prove anything: %v", did)
	}
	if did.Busy > alone.Busy || did.Collisions > alone.Collisions+1 {
		t.Errorf("the database was busy: %v", did)
	}
	b.mustDiffer(backups, did)
}

// writeAlone is the control run: as long as a few backups take.
func (b *bench) writeAlone(db string) tally {
	b.Helper()
	w := startWriter(b, db)
	time.Sleep(time.Second)
	return w.stop()
}

// mustDiffer fails the test unless the copies, taken one after the other, are consistent, in order, and 90 of 100
// different.
func (b *bench) mustDiffer(backups int, did tally) {
	b.Helper()
	seen, last := map[int]bool{}, 0
	for i := range backups {
		n := b.commits(fmt.Sprintf("copy%d.db", i))
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
