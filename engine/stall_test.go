//go:build linux

package engine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

// TestStalledCopy: a copy that hangs does not lock the source for long.
func TestStalledCopy(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(testing.TB) string{"rollback": newRollback, "WAL": newWAL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, temp := make(t), t.TempDir()
			hang, ended := context.WithCancel(t.Context())
			defer ended()
			app := open(t, db, "PRAGMA busy_timeout=0;", "SELECT count(*) FROM t;")
			start := time.Now()
			_, err := TakeSnapshot(t.Context(), db, SnapshotOptions{TempDir: temp, Progress: func(p Progress) {
				if p.Phase == PhaseCopy {
					<-hang.Done()
				}
			}})
			wantKind(t, err, KindTemp)
			if waited := time.Since(start); waited < stalled/2 || waited > 5*stalled {
				t.Errorf("gave up after %v", waited)
			}
			app.run("INSERT INTO t(v) VALUES('x');")
			if got := app.run("PRAGMA wal_checkpoint(TRUNCATE);"); strings.HasPrefix(got, "1") {
				t.Errorf("the WAL is still read: %s", got)
			}
		})
	}
}

// TestStallLimit: a caller who allows less than ten seconds does not wait longer.
func TestStallLimit(t *testing.T) {
	t.Parallel()
	for asked, want := range map[time.Duration]time.Duration{0: stalled, time.Hour: stalled, time.Second: time.Second,
		1: 20 * time.Millisecond} {
		if got := (SnapshotOptions{Timeout: asked}).stallLimit(); got != want {
			t.Errorf("%v asked for: %v", asked, got)
		}
	}
	hang, ended := context.WithCancel(t.Context())
	defer ended()
	start := time.Now()
	_, err := TakeSnapshot(t.Context(), newRollback(t), SnapshotOptions{
		TempDir: t.TempDir(), Timeout: time.Second, Progress: func(p Progress) {
			if p.Phase == PhaseCopy {
				<-hang.Done()
			}
		}})
	wantKind(t, err, KindTemp)
	if waited := time.Since(start); waited > stalled*4/5 || !strings.Contains(err.Error(), "for 1s") {
		t.Errorf("%v after %v", err, waited)
	}
}

// TestCancelledCopyThatHangs: a caller who cancels does not wait for a copy that hangs.
func TestCancelledCopyThatHangs(t *testing.T) {
	t.Parallel()
	hang, ended := context.WithCancel(t.Context())
	defer ended()
	ctx, cancel := context.WithCancel(t.Context())
	start := time.Now()
	_, err := TakeSnapshot(ctx, newRollback(t), SnapshotOptions{TempDir: t.TempDir(), Progress: func(p Progress) {
		if p.Phase == PhaseCopy {
			cancel()
			<-hang.Done()
		}
	}})
	if waited := time.Since(start); err != context.Canceled || waited > stalled/2 {
		t.Errorf("%v after %v", err, waited)
	}
}

// TestSpaceBeside: the application needs room for what it writes meanwhile, unless it is on another
// file system.
func TestSpaceBeside(t *testing.T) {
	temp := t.TempDir()
	here := fileStates{main: osfile.Stat(temp)}
	full := here
	full.wal.Size = 1 << 60
	for name, c := range map[string]struct {
		source fileStates
		kind   Kind
	}{
		"room enough":   {here, ""},
		"a large WAL":   {full, KindNoSpace},
		"WAL elsewhere": {fileStates{wal: full.wal}, ""},
	} {
		err := spaceBeside(temp, c.source, 4096)(4096)
		if c.kind == "" && err != nil || c.kind != "" && !errors.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestScratchRoom: a private copy of the main file and the -wal needs room for both.
func TestScratchRoom(t *testing.T) {
	temp := t.TempDir()
	free, err := osfile.FreeBytes(temp)
	if err != nil {
		t.Fatal(err)
	}
	most := osfile.FileState{Size: int64(free / 3 * 2)}
	for _, alone := range []fileStates{{main: most}, {wal: most}} {
		if err := scratchRoom(temp, alone); err != nil {
			t.Error(err)
		}
	}
	wantKind(t, scratchRoom(temp, fileStates{main: most, wal: most}), KindNoSpace)
}

// TestSteps: no step is so long that a copy that makes progress seems to hang.
func TestSteps(t *testing.T) {
	for asked, want := range map[int]int{0: 1024, 1: 1, 100: 100, 1 << 14: 1 << 14, 1<<14 + 1: 1 << 14,
		1 << 32: 1 << 14} {
		if got := (SnapshotOptions{PagesPerStep: asked}).step(4096); got != want {
			t.Errorf("%d pages asked for: %d", asked, got)
		}
	}
}
