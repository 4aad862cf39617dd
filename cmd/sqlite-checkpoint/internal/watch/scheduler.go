// Package watch decides when a command is due for databases that change. It reads no clock and no
// file: its caller provides the time and the databases' tokens.
package watch

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// Options are the rules of a Scheduler.
type Options struct {
	Each    bool          // a run of the command for each database that has changed, not for all together
	Once    bool          // each command runs at most once, with no regard to Every and to earlier failures
	Every   time.Duration // the shortest time between two runs that succeed, and the longest pause after one that fails
	AtLeast time.Duration // the longest time between two runs that succeed, 0 for no limit
	Poll    time.Duration // the shortest pause after a run that fails
}

// settleTime is how long a database that was modified a moment ago is left alone: if it stays as it
// is, its token is then beyond doubt, and one run is enough.
const settleTime = 2100 * time.Millisecond

// firstPause is the pause after a first failure; it doubles with every further one.
const firstPause = time.Minute

// A Scheduler knows what each run of the command has covered.
type Scheduler struct {
	options Options
	jobs    map[string]*Job
	queue   []*Job // that were due when it was last refilled
}

// New returns a scheduler that continues from the state of an earlier one.
func New(options Options, past State, now time.Time) *Scheduler {
	s := &Scheduler{options: options, jobs: map[string]*Job{}}
	for name, known := range past.Jobs {
		if options.Each != (name != "") {
			continue
		}
		j := s.job(name)
		j.failures, j.status = known.Failures, known.Status
		j.began, j.ended = onClock(known.Began, now), onClock(known.Ended, now)
		for path, token := range known.Done {
			j.databases[path] = &database{done: token}
		}
	}
	return s
}

// onClock returns t as a time on the monotonic clock that now has: it does not matter then if the
// wall clock is set later. It is zero if t is in the future: the clock was set back, or the state
// is damaged.
func onClock(t, now time.Time) time.Time {
	if t.IsZero() || t.After(now) {
		return time.Time{}
	}
	return now.Add(-now.Sub(t))
}

func (s *Scheduler) job(name string) *Job {
	j := s.jobs[name]
	if j == nil {
		j = &Job{Name: name, databases: map[string]*database{}}
		s.jobs[name] = j
	}
	return j
}

func (s *Scheduler) jobOf(path string) *Job {
	if s.options.Each {
		return s.job(path)
	}
	return s.job("")
}

// Look tells the scheduler the tokens of all databases, which were taken since the time now; jobs
// may have begun meanwhile. A database that has none is forgotten, unless hidden says that it may
// exist where the search could not go: then nothing is due for it until it is seen again.
func (s *Scheduler) Look(now time.Time, tokens map[string]engine.Token, hidden func(path string) bool) {
	s.queue = nil
	for path, token := range tokens {
		j := s.jobOf(path)
		db := j.databases[path]
		switch {
		case db == nil:
			j.databases[path] = &database{now: token}
		case !j.tryBegan.After(now): // else Begin knows a later one
			db.now = token
		}
	}
	for name, j := range s.jobs {
		maps.DeleteFunc(j.databases, func(path string, db *database) bool {
			_, db.seen = tokens[path]
			return !db.seen && !hidden(path)
		})
		if len(j.databases) == 0 && !j.running {
			delete(s.jobs, name)
			continue
		}
		if s.options.Once && s.options.AtLeast > 0 && !now.Before(j.began.Add(s.options.AtLeast)) {
			j.forced = true // there will be no later look
		}
		switch {
		case !j.changing():
			j.unsettled = time.Time{}
		case j.unsettled.IsZero():
			j.unsettled = now
		}
	}
}

// when returns the moment from which the job is due, as far as is known; ok is false for never.
func (s *Scheduler) when(j *Job) (due time.Time, ok bool) {
	settled := j.unsettled
	if !settled.IsZero() {
		settled = settled.Add(settleTime)
	}
	switch {
	case j.running, s.options.Once && j.tried, !j.seen():
		return time.Time{}, false
	case j.forced && s.options.Once:
		return settled, true // else the next run would find it changed
	case j.forced:
		return time.Time{}, true
	case j.failures > 0 && !s.options.Once:
		return j.ended.Add(s.pause(j.failures)), true
	case s.options.Once:
		return settled, j.changed()
	case j.changed():
		due, ok = slices.MaxFunc([]time.Time{settled, j.began.Add(s.options.Every)}, time.Time.Compare), true
	}
	if limit := j.began.Add(s.options.AtLeast); s.options.AtLeast > 0 && (!ok || limit.Before(due)) {
		due, ok = limit, true
	}
	return due, ok
}

func (s *Scheduler) pause(failures int) time.Duration {
	pause := firstPause
	for ; failures > 1 && pause < s.options.Every; failures-- {
		pause *= 2
	}
	return max(min(pause, s.options.Every), s.options.Poll)
}

// NextDue returns a job that is due, nil if none is. Going through 10,000 jobs for each run would
// take longer than the runs, so it goes through them only when the jobs that were due the last time
// have all been returned.
func (s *Scheduler) NextDue(now time.Time) *Job {
	if len(s.queue) == 0 {
		s.queue = s.due(now)
	}
	for len(s.queue) > 0 {
		j := s.queue[0]
		s.queue = s.queue[1:]
		if s.isDue(j, now) {
			return j
		}
	}
	return nil
}

func (s *Scheduler) isDue(j *Job, now time.Time) bool {
	at, ok := s.when(j)
	return ok && !at.After(now)
}

// due lists the jobs that are due, the one that waits longest first.
func (s *Scheduler) due(now time.Time) (due []*Job) {
	for _, j := range s.jobs {
		if s.isDue(j, now) {
			due = append(due, j)
		}
	}
	slices.SortFunc(due, func(a, b *Job) int {
		return cmp.Or(a.began.Compare(b.began), a.ended.Compare(b.ended), cmp.Compare(a.Name, b.Name))
	})
	return due
}

// Next returns the moment when the next job becomes due without another look; ok is false if none
// will.
func (s *Scheduler) Next() (next time.Time, ok bool) {
	for _, j := range s.jobs {
		if at, due := s.when(j); due && (!ok || at.Before(next)) {
			next, ok = at, true
		}
	}
	return next, ok
}

// Begin records that the command starts for a job now. fresh are tokens that were taken since the
// last look; this run does not cover later changes.
func (s *Scheduler) Begin(j *Job, now time.Time, fresh map[string]engine.Token) {
	j.running, j.forced, j.tried, j.tryBegan = true, false, true, now
	for path, db := range j.databases {
		if db.begun = db.done; db.seen {
			db.begun = db.now
		}
		if token, ok := fresh[path]; ok && token.Doubt() == "" {
			db.now, db.begun = token, token
		}
	}
}

// End records how the command has ended: with status 0, or it failed.
func (s *Scheduler) End(j *Job, now time.Time, status int) {
	j.running, j.ended, j.status = false, now, status
	if status != 0 {
		j.failures++
		return
	}
	j.failures, j.began = 0, j.tryBegan
	for _, db := range j.databases {
		db.done = db.begun
	}
}

// Cancel records that the command was stopped because the watcher ends, which is no failure.
func (s *Scheduler) Cancel(j *Job) { j.running = false }

// All makes every job due; one that is running, as soon as it has ended.
func (s *Scheduler) All() {
	s.queue = nil
	for _, j := range s.jobs {
		j.forced = true
	}
}

// A Count says how many jobs and databases there are, and what they do.
type Count struct{ Databases, Changed, Running, Failing int }

// Count returns the counts.
func (s *Scheduler) Count() (n Count) {
	for _, j := range s.jobs {
		n.Databases += len(j.databases)
		n.Changed += j.Changed()
		if j.running {
			n.Running++
		}
		if j.failures > 0 {
			n.Failing++
		}
	}
	return n
}
