package engine

import (
	"sync/atomic"
	"testing"
	"time"
)

// A marked goFunc lets functions find out that they run in it.
type marked struct{ inside, started atomic.Int32 }

func (m *marked) start(f func()) {
	m.started.Add(1)
	go func() {
		m.inside.Add(1)
		defer m.inside.Add(-1)
		f()
	}()
}

// TestLongCopy: a long copy ends on the caller's goroutine.
func TestLongCopy(t *testing.T) {
	t.Parallel()
	var copying marked
	last := int32(-1)
	_, _, err := snapshot(t, newWAL(t), SnapshotOptions{PagesPerStep: 1, GoCopy: copying.start,
		Progress: func(p Progress) {
			if p.Phase != PhaseCopy {
				return
			}
			if p.Done == 4096 {
				time.Sleep(lowPriorityTime)
			}
			for tries := 0; p.Done == p.Total && copying.inside.Load() > 0 && tries < 100; tries++ {
				time.Sleep(10 * time.Millisecond) // it counts itself out after it has returned
			}
			last = copying.inside.Load()
		}})
	if err != nil || last != 0 {
		t.Errorf("%v, %d goroutines of GoCopy at the end", err, last)
	}
}

// TestGoHooks: the check and the digest run in Go, the copy in GoCopy or, if writers wait for its
// end, in GoLocked.
func TestGoHooks(t *testing.T) {
	for _, c := range []struct {
		db   string
		want [2]int32
	}{{newWAL(t), [2]int32{1, 0}}, {newRollback(t), [2]int32{0, 1}}} {
		var other, copying, locked marked
		first, checking := [2]int32{-1}, int32(-1)
		_, _, err := snapshot(t, c.db, SnapshotOptions{Go: other.start, GoCopy: copying.start, GoLocked: locked.start,
			Progress: func(p Progress) {
				switch {
				case p.Phase == PhaseCheck:
					checking = other.started.Load()
				case p.Phase == PhaseCopy && first[0] < 0:
					first = [2]int32{copying.inside.Load(), locked.inside.Load()}
				}
			}})
		if err != nil || first != c.want {
			t.Errorf("%s: %v, copied in GoCopy and GoLocked: %d, want %d", c.db, err, first, c.want)
		}
		if got := other.started.Load(); checking != 1 || got != 2 {
			t.Errorf("%s: Go started %d goroutines before the check and %d in all, want 1 and 2", c.db, checking, got)
		}
	}
}
