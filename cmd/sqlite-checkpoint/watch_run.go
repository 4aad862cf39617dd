package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/metrics"
	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/watch"
	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// A watcher is a run of watch. It runs on one goroutine, except for looking and for waiting for
// children.
type watcher struct {
	*watchCmd
	con      *console
	argv     []string
	schedule *watch.Scheduler
	finder   *watchFinder
	seen     lookResult                        // at the last look
	measured map[metrics.Series]metrics.Values // since the last save
	children map[*child]bool
	looking  bool
	looks    chan lookEnd
	ends     chan childEnd
	hangups  <-chan struct{}
	said     map[string]bool // keys of warnings that are not repeated
	result   watchResult
	lock     *os.File // of the state; may be nil

	lookAt, saveAt, aliveAt time.Time
	countAt                 time.Time     // for systemd, while all slots are taken
	alive                   time.Duration // how often to notify systemd's watchdog, 0 for never
	dirty                   bool          // there is something to save
	stopping                bool
	cut                     bool   // a child was stopped before it was done
	status                  string // the last one sent to systemd
}

// run looks, starts children and waits for them until ctx is canceled, or with --once until nothing
// is left to do.
func (w *watcher) run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if interval, err := daemon.SdWatchdogEnabled(false); err == nil {
		w.alive = interval / 2
	}
	w.result = watchResult{Command: "watch", start: time.Now()}
	for ready := false; ; {
		w.turn(ctx)
		if !ready && w.looked() {
			ready = true
			daemon.SdNotify(false, daemon.SdNotifyReady)
		}
		if w.Once && w.looked() && len(w.children) == 0 && !w.waits() {
			break
		}
		timer := time.NewTimer(time.Until(w.wakeAt()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return w.stop(ctx)
		case end := <-w.looks:
			if err := w.endLook(ctx, end); err != nil {
				return err
			}
		case end := <-w.ends:
			w.exit(end)
		case <-w.hangups:
			w.schedule.All()
			w.lookAt = time.Time{}
		case <-timer.C:
		}
		timer.Stop()
	}
	w.save(time.Now(), true)
	return w.conclude()
}

// turn does what is due now.
func (w *watcher) turn(ctx context.Context) {
	now := time.Now()
	if !w.looking && !now.Before(w.lookAt) && !(w.Once && w.looked()) {
		w.look(ctx, now)
	}
	w.enforce(now)
	for len(w.children) < int(w.Jobs) {
		j := w.schedule.NextDue(now)
		if j == nil {
			break
		}
		w.start(j, time.Now())
	}
	w.save(now, false)
	w.notify(now)
}

// waits reports whether a job of --once will still become due.
func (w *watcher) waits() bool { _, ok := w.schedule.Next(); return ok }

// looked reports whether a look has ended.
func (w *watcher) looked() bool { return w.seen.tokens != nil }

// A lookEnd is what a look has found that began at a time.
type lookEnd struct {
	began time.Time
	seen  lookResult
	err   error
}

// look begins a look.
func (w *watcher) look(ctx context.Context, now time.Time) {
	w.looking, w.lookAt = true, now.Add(w.Poll)
	go func() {
		seen, err := w.finder.look(ctx)
		w.looks <- lookEnd{now, seen, err}
	}()
}

func (w *watcher) endLook(ctx context.Context, end lookEnd) error {
	w.looking = false
	if end.err != nil {
		if ctx.Err() != nil {
			return nil // run stops
		}
		return end.err
	}
	seen := end.seen
	for _, p := range seen.problems {
		w.sayOnce(p.key+p.text, p.text)
	}
	for _, n := range seen.notes {
		if !w.said[n.key] {
			w.said[n.key] = true
			w.con.note(n.text)
		}
	}
	w.seen = seen
	w.schedule.Look(end.began, seen.tokens, seen.hidden)
	w.result.Databases = len(seen.tokens)
	return nil
}

// freshTokens takes the tokens of a job's databases again, unless that is of no use, and may take
// forever.
func (w *watcher) freshTokens(j *watch.Job) map[string]engine.Token {
	tokens := map[string]engine.Token{}
	for _, path := range j.Paths() {
		if last, seen := w.seen.tokens[path]; !seen || last.Doubt() == engine.DoubtFilesystem {
			continue
		}
		if token, err := engine.TakeToken(path); err == nil {
			tokens[path] = token
		}
	}
	return tokens
}

// wakeAt is when there is something to do again.
func (w *watcher) wakeAt() time.Time {
	next := w.lookAt
	consider := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if w.Once || w.looking {
		next = time.Now().Add(time.Hour)
	}
	if len(w.children) < int(w.Jobs) {
		if at, ok := w.schedule.Next(); ok {
			consider(slices.MaxFunc([]time.Time{at, time.Now()}, time.Time.Compare))
		}
	} else if w.result.Databases > countOften {
		consider(w.countAt)
	}
	if w.dirty {
		consider(w.saveAt)
	}
	for c := range w.children {
		consider(c.deadline())
	}
	consider(w.aliveAt)
	return next
}

// ended records the end of a child.
func (w *watcher) ended(c *child, now time.Time) {
	delete(w.children, c)
	if len(w.children) == 0 {
		w.con.allow(0)
	}
	if !w.stopping || !c.termed {
		w.finish(c, now, c.status)
		return
	}
	w.cut = true
	w.schedule.Cancel(c.job)
	w.measure(c.job, metrics.Values{metrics.Running: 0})
	w.dirty = true
	w.con.warn(fmt.Sprintf("%s: stopped before it was done", w.label(c)))
}

func (w *watcher) finish(c *child, now time.Time, status int) {
	before := c.job.Failures()
	w.schedule.End(c.job, now, status)
	w.measureEnd(c, now, status)
	w.dirty = true
	w.result.count(status)
	w.printRun(c, now, status, before)
}

// killDelay is how long a CMD is waited for that was killed. One that waits for a file system that
// hangs may never end.
const killDelay = 500 * time.Millisecond

// stop starts no more children, and gives the running ones time to finish.
func (w *watcher) stop(ctx context.Context) error {
	daemon.SdNotify(false, daemon.SdNotifyStopping)
	w.stopping = true
	for c := range w.children {
		c.endWithin(time.Now(), w.Grace)
	}
	end := time.Now().Add(w.Grace + killDelay)
	for w.enforce(time.Now()); len(w.children) > 0 && time.Now().Before(end); w.enforce(time.Now()) {
		timer := time.NewTimer(groupPoll)
		select {
		case end := <-w.ends:
			w.exit(end)
		case <-timer.C:
		}
		timer.Stop()
	}
	for c := range w.children {
		w.ended(c, time.Now())
	}
	w.save(time.Now(), true)
	if w.cut || w.Once {
		return context.Cause(ctx)
	}
	return w.conclude()
}

// countOften is how many databases are counted at every turn, even while all slots are taken.
const countOften = 1000

// notify serves systemd's watchdog, and reports the status to systemd.
func (w *watcher) notify(now time.Time) {
	if w.alive > 0 && !now.Before(w.aliveAt) {
		w.aliveAt = now.Add(w.alive)
		daemon.SdNotify(false, daemon.SdNotifyWatchdog)
	}
	if w.result.Databases > countOften && len(w.children) == int(w.Jobs) && now.Before(w.countAt) {
		return
	}
	w.countAt = now.Add(time.Second)
	n := w.schedule.Count()
	status := fmt.Sprintf("STATUS=%d databases, %d running, %d failing", n.Databases, n.Running, n.Failing)
	if status != w.status {
		w.status = status
		daemon.SdNotify(false, status)
	}
}
