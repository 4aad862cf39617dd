package atomicfile

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// ErrHangs means that a file system did not answer for as long as the caller allows.
var ErrHangs = errors.New("the file system hangs")

// Patience is how long a file system may take for a write before it counts as hanging, perhaps
// forever.
const Patience = 10 * time.Second

// MayHang reports whether a directory is on a network or FUSE file system, which may be slow, or
// hang.
func MayHang(dir string) bool {
	_, network, _ := NetworkFilesystem(dir)
	return network
}

// limitTicks is how many times within its limit a Watch looks. Ticks are counted, not time: a
// program that was suspended has not hung.
const limitTicks = 20

// A Watch notices that a file system hangs. The zero value is ready for use.
type Watch struct {
	counts atomic.Bool
	beats  atomic.Int64
}

// Count says whether time without progress counts from now on. At first it does not.
func (w *Watch) Count(on bool) {
	w.Beat()
	w.counts.Store(on)
}

// Beat records progress.
func (w *Watch) Beat() { w.beats.Add(1) }

// Run calls f and returns its error. If there is no progress for the limit, Run gives up with
// [ErrHangs], and after a small part of the limit if ctx has ended: then it cancels the context of
// f, which continues when the kernel lets it go, and ended is false.
func (w *Watch) Run(
	ctx context.Context, limit time.Duration, f func(context.Context) error,
) (ended bool, err error) {
	inner, abandon := context.WithCancel(ctx)
	defer abandon()
	result := make(chan error, 1)
	go func() { result <- f(inner) }()
	ticker := time.NewTicker(max(limit/limitTicks, time.Millisecond))
	defer ticker.Stop()
	for idle, last := 0, int64(0); idle < limitTicks; {
		select {
		case err := <-result:
			return true, err
		case <-ticker.C:
		}
		if beats := w.beats.Load(); beats != last || !w.counts.Load() {
			idle, last = 0, beats
		} else if idle++; ctx.Err() != nil && idle >= 2 {
			return false, ctx.Err()
		}
	}
	return false, fmt.Errorf("no write has completed for %v: %w", limit, ErrHangs)
}
