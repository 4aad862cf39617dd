package faults

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// TestSoakWALReset checkpoints, in every mode and without a pause, beside applications that use
// Debian's SQLite, which has the WAL-reset bug: for seconds, or half a minute in the long form.
// Every commit must be there in the end.
func TestSoakWALReset(t *testing.T) {
	length := 3 * time.Second
	if n, err := strconv.Atoi(os.Getenv("SOAK")); err == nil {
		length = time.Duration(n) * 150 * time.Millisecond
	}
	s := newScene(t)
	s.SQLite(s.db, "PRAGMA journal_mode=WAL;",
		"CREATE TABLE t(who INTEGER, n INTEGER, filler BLOB, PRIMARY KEY(who, n));")
	version := s.SQLite(s.db, "SELECT sqlite_version();")
	deadline := time.Now().Add(length)
	var all sync.WaitGroup
	commits, checkpoints := make([]int, 2), make([]int, 3)
	for who := range commits {
		application := s.Open(s.db, ".timeout 60000", "PRAGMA synchronous=OFF;", "PRAGMA wal_autocheckpoint=4;")
		all.Go(func() { commits[who] = commitUntil(s, application, who, deadline) })
	}
	for i, mode := range []string{"passive", "restart", "truncate"} {
		all.Go(func() {
			for time.Now().Before(deadline) {
				s.try(trial{moves: true, litter: true, prints: true, codes: []int{codeDone, codeBusy},
					args: []string{"checkpoint", "-q", "--mode", mode, "--busy-timeout", "1s", s.db}})
				checkpoints[i]++
			}
		})
	}
	all.Wait()
	want := fmt.Sprintf("ok\n%d\n%d", commits[0], commits[1])
	got := s.SQLite(s.db, ".timeout 60000", "PRAGMA integrity_check;",
		"SELECT count(*) FROM t WHERE who=0;", "SELECT count(*) FROM t WHERE who=1;")
	t.Logf("SQLite %s: %d commits beside %d checkpoints (passive, restart, truncate)", version, commits, checkpoints)
	if got != want {
		t.Errorf("the database says %q, want %q", got, want)
	}
	if commits[0]*commits[1]*checkpoints[0]*checkpoints[1]*checkpoints[2] == 0 {
		t.Error("somebody did nothing")
	}
}

// commitUntil commits a row at a time, and counts.
func commitUntil(s *scene, application *harness.Session, who int, deadline time.Time) (commits int) {
	const batch = 20
	for time.Now().Before(deadline) {
		var script []string
		for range batch {
			script = append(script, fmt.Sprintf("INSERT INTO t VALUES(%d, %d, randomblob(200));", who, commits))
			commits++
		}
		if out, err := application.Try(script...); err != nil || strings.TrimSpace(out) != "" {
			s.Errorf("application %d: %v, %s", who, err, out)
			return commits
		}
	}
	return commits
}
