package main

import (
	"context"
	"os"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

const (
	// endDelay is how long a signalled run may take to end by itself.
	endDelay = 3 * time.Second
	// stepLimit bounds each cleanup step at the end, which could hang, too.
	stepLimit = time.Second
)

// allow gives a signalled run more time to end by itself, such as CMD's grace.
func (c *console) allow(more time.Duration) { c.endDelay.Store(int64(more)) }

// abandon ends the process some seconds after ctx has been ended by a signal, whatever it hangs in:
// a system call on a file system that does not answer, one long step of SQLite, a terminal that is
// paused. CMD's guard outlives it.
func (c *console) abandon(ctx context.Context) {
	time.Sleep(endDelay)
	time.Sleep(time.Duration(c.endDelay.Load())) // of a CMD that had just been started, too
	c.mu.Lock()
	defer c.mu.Unlock()
	f := explain(ctx, "", ctx.Err())
	for _, step := range []func(){
		func() { c.report.end(f.Code, f) },
		atomicfile.RemoveAll,
		func() { c.printFailure(f) },
	} {
		bounded(stepLimit, step)
	}
	os.Exit(f.Code)
}

// takeHangups has SIGHUP reported to the caller from now on; it no longer ends the run.
func (c *console) takeHangups() <-chan struct{} {
	hangups := make(chan struct{}, 1)
	c.hangups.Store(&hangups)
	return hangups
}

// hangup reports a SIGHUP to the command, if it takes them.
func (c *console) hangup() bool {
	hangups := c.hangups.Load()
	if hangups == nil {
		return false
	}
	select {
	case *hangups <- struct{}{}:
	default: // one that it has not seen yet is there already
	}
	return true
}

// bounded calls f, and returns when f has returned or the limit is over.
func bounded(limit time.Duration, f func()) {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(limit):
	}
}
