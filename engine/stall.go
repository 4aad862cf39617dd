package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"
)

// A copy that makes no progress for this long, or a shorter time that the caller allows, is
// abandoned: the destination hangs, perhaps forever, and the source is locked. Ticks are counted
// because a program that was suspended has not hung.
const (
	stalled      = 10 * time.Second
	stalledTicks = 20
)

var errStalled = errors.New("the file system hangs")

// stallLimit is how long the destination may hang.
func (o SnapshotOptions) stallLimit() time.Duration {
	if o.Timeout <= 0 {
		return stalled
	}
	return max(min(o.Timeout, stalled), stalledTicks*time.Millisecond)
}

// A stallDetector bounds the time for which a hanging copy locks its source.
type stallDetector struct {
	locked atomic.Bool
	beats  atomic.Int64
	gaveUp atomic.Bool
}

// beat records progress, and reports whether the copy was abandoned before it.
func (w *stallDetector) beat() (over bool) {
	w.beats.Add(1)
	return w.gaveUp.Load()
}

// untilStalled calls f. If f hangs for the limit while it holds locks on the source, untilStalled
// drops the locks and returns errStalled; f may continue until the kernel lets it go.
func (s *sourceFile) untilStalled(ctx context.Context, limit time.Duration, f func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- f() }()
	ticker := time.NewTicker(limit / stalledTicks)
	defer ticker.Stop()
	for ticks, last := 0, int64(0); ticks < stalledTicks; {
		select {
		case err := <-ended:
			return err
		case <-ticker.C:
		}
		if beats := s.stall.beats.Load(); beats != last || !s.stall.locked.Load() {
			ticks, last = 0, beats
		} else if ticks++; ctx.Err() != nil && ticks >= 2 {
			break
		}
	}
	s.stall.gaveUp.Store(true)
	s.dropLocks()
	if err := ctx.Err(); err != nil {
		return err
	}
	return fmt.Errorf("no write has completed for %v: %w", limit, errStalled)
}

// dropLocks takes away every lock on the source that the process holds, SQLite's included, by
// closing a descriptor of each file.
func (s *sourceFile) dropLocks() {
	s.Close()
	sqlitefile.OpenAux(s.path + "-shm").Close()
}
