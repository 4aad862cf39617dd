package engine

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// costLimit returns how much processor time a check of size bytes may take: some 20 times what it
// takes at most in an ordinary database. A generated column, or a view that a full-text table
// indexes, can keep SQLite busy without end.
func costLimit(size int64) time.Duration {
	const base, perByte = 10 * time.Second, 2 * time.Microsecond
	return base + time.Duration(size)*perByte
}

// errTooLong means that a check was given up.
var errTooLong = errors.New("its check takes too long")

// bounded runs a check, and returns errTooLong, whatever the check says, if it has interrupted it.
func (k *checker) bounded(ctx context.Context, check func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := k.watchCost(func() { cancel(errTooLong) })
	err := check(ctx)
	stop()
	if err != nil && errors.Is(context.Cause(ctx), errTooLong) {
		return errTooLong
	}
	return err
}

// watchCost calls spent once this process has used more processor time than the limit, unless its
// result is called before. Other work of the process counts, too, but is little in comparison.
func (k *checker) watchCost(spent func()) (stop func()) {
	const interval = 100 * time.Millisecond
	limit := processorTime() + k.limit
	done := make(chan struct{})
	go func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for processorTime() < limit {
			select {
			case <-done:
				return
			case <-ticker.C:
			}
		}
		spent()
	}()
	return func() { close(done) }
}

// processorTime returns how long all threads of this process have run.
func processorTime() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
