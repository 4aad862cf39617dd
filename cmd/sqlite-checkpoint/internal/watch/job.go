package watch

import (
	"maps"
	"slices"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// A Job is what the command runs for: one database, or all of them, whose job has no name.
type Job struct {
	Name      string
	databases map[string]*database

	running   bool
	forced    bool // due, whatever the rules say
	tried     bool // under Once
	unsettled time.Time
	began     time.Time // the last run that succeeded, or that is running
	tryBegan  time.Time
	ended     time.Time // the last run
	failures  int       // since the last run that succeeded
	status    int       // of the last run
}

// A database is tracked by its tokens: at the last look, when the running command began, and when
// the last one that succeeded began.
type database struct {
	now, begun, done engine.Token
	seen             bool // at the last look
}

// changed reports whether something was, or may have been, committed since the last run that
// succeeded.
func (j *Job) changed() bool { return j.Changed() > 0 }

// Changed counts the databases that have changed.
func (j *Job) Changed() (n int) {
	for _, db := range j.databases {
		if db.seen && db.now != db.done {
			n++
		}
	}
	return n
}

// changing reports whether a database was modified only a moment ago.
func (j *Job) changing() bool {
	for _, db := range j.databases {
		if db.seen && db.now != db.done && db.now.Doubt() == engine.DoubtRecent {
			return true
		}
	}
	return false
}

// seen reports whether the last look found any of the databases.
func (j *Job) seen() bool {
	for _, db := range j.databases {
		if db.seen {
			return true
		}
	}
	return false
}

// Paths returns the job's databases, sorted.
func (j *Job) Paths() []string { return slices.Sorted(maps.Keys(j.databases)) }

// Failures returns the number of failures since the last success.
func (j *Job) Failures() int { return j.failures }
