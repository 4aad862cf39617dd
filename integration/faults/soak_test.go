package faults

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit/ledger"
)

// TestSoak takes backups beside writers and a restless application that is killed now and then: 200
// of each kind in the long form (make soak), fewer otherwise.
func TestSoak(t *testing.T) {
	backups := 20
	if n, err := strconv.Atoi(os.Getenv("SOAK")); err == nil {
		backups = n
	}
	for _, c := range []struct {
		name  string
		mode  string
		modes bool // the application changes the journal mode
	}{{"WAL", "WAL", false}, {"rollback", "DELETE", false}, {"changing journal modes", "WAL", true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.SQLite(s.db, "PRAGMA journal_mode="+c.mode+";", ledger.Schema)
			soak := soak{scene: s, modes: c.modes}
			begin, left := time.Now(), backups
			with := soak.run(func() bool { left--; return left >= 0 }, true)
			elapsed := time.Since(begin)
			control := soak.run(func() bool { elapsed -= time.Second; time.Sleep(time.Second); return elapsed > 0 },
				false)
			t.Logf("with us: %+v; without: %+v; %s", with, control, s.tally.verdict(t.Failed()))
			if c.mode == "WAL" && !c.modes && with.Busy > control.Busy {
				t.Errorf("writers found the database busy %d times, and %d without us", with.Busy, control.Busy)
			}
			if with.Commits == 0 {
				t.Error("nobody wrote")
			}
			s.lastsTheSoak()
		})
	}
}

type soak struct {
	*scene
	modes bool
}

// run has writers write while more returns true, and counts.
func (s *soak) run(more func() bool, backup bool) (sum ledger.Tally) {
	s.Helper()
	var writers []ledger.Writer
	for seed := range uint64(3) {
		writers = append(writers, ledger.Start(s.TB, ledger.Order{DB: s.db, BusyTimeout: time.Minute, Seed: seed}))
	}
	order := ledger.Order{DB: s.db, BusyTimeout: time.Second, Restless: true, Modes: s.modes, Seed: 99}
	restless := ledger.Start(s.TB, order)
	for i := 0; more(); i++ {
		if i%5 == 4 {
			restless.Kill()
			order.Seed++
			restless = ledger.Start(s.TB, order)
		}
		if backup {
			s.try(trial{moves: true, args: []string{"backup", "--busy-timeout", "60s", s.db, "-"}}).holds(ledger.Sum,
				ledger.Total)
		}
	}
	restless.Stop()
	for _, w := range writers {
		did := w.Stop()
		sum.Commits += did.Commits
		sum.Busy += did.Busy
		sum.Slowest = max(sum.Slowest, did.Slowest)
	}
	return sum
}

// lastsTheSoak checks that the database itself is still whole.
func (s *scene) lastsTheSoak() {
	s.Helper()
	if got := s.SQLite(s.db, ".timeout 10000", "PRAGMA integrity_check;", ledger.Sum); got != "ok\n"+ledger.Total {
		s.Errorf("the database says %q", got)
	}
}
