package engine

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"
)

// A copy that makes no progress for this long is abandoned: the destination hangs, perhaps for
// ever, and the source is locked. Ticks are counted because a program that was suspended has not
// hung.
const (
	stalled      = 10 * time.Second
	stalledTicks = 20
)

var errStalled = errors.New("no write has completed for 10 seconds: the file system hangs")

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

// untilStalled calls f. If f hangs while it holds locks on the source, untilStalled drops the locks
// and returns errStalled; f may continue until the kernel lets it go.
func (s *sourceFile) untilStalled(ctx context.Context, f func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- f() }()
	ticker := time.NewTicker(stalled / stalledTicks)
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
	return errStalled
}

// dropLocks takes away every lock on the source that the process holds, SQLite's included, by
// closing a descriptor of each file.
func (s *sourceFile) dropLocks() {
	s.Close()
	sqlitefile.OpenAux(s.path + "-shm").Close()
}
