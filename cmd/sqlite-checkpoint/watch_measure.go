package main

import (
	"maps"
	"strings"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/metrics"
	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/watch"
)

// measure keeps values of a job's databases for the next save.
func (w *watcher) measure(j *watch.Job, values metrics.Values) {
	if w.Metrics == "" {
		return
	}
	for _, path := range j.Paths() {
		series := metrics.Series{Command: "watch", Database: metrics.Label(path)}
		if w.measured[series] == nil {
			w.measured[series] = metrics.Values{}
		}
		maps.Copy(w.measured[series], values)
		if token, ok := w.seen.tokens[path]; ok {
			w.measured[series][metrics.WALSize] = float64(token.WALSize())
		}
	}
}

func (w *watcher) measureBegin(c *child) {
	w.measure(c.job, metrics.Values{metrics.LastAttempt: seconds(c.began), metrics.Running: 1})
}

func (w *watcher) measureEnd(c *child, now time.Time, status int) {
	values := metrics.Values{
		metrics.Running: 0, metrics.ExitStatus: float64(status), metrics.Duration: now.Sub(c.began).Seconds(),
	}
	if status == 0 {
		values[metrics.LastSuccess] = seconds(c.began)
	}
	w.measure(c.job, values)
}

// saveMetrics writes what was measured since the last time, and removes databases that no longer
// exist: an alert about one could not be resolved.
func (w *watcher) saveMetrics() error {
	err := metrics.Update(w.Metrics, func(before map[metrics.Series]metrics.Values) metrics.Changes {
		changes, exists := metrics.Changes{}, map[string]bool{}
		for series, values := range w.measured {
			changes[series] = values
		}
		for path := range w.seen.tokens {
			exists[metrics.Label(path)] = true
		}
		for series := range before {
			name := series.Database
			if series.Command == "watch" && !exists[name] && w.watches(name) && !w.seen.hidden(name) {
				changes[series] = nil
			}
		}
		return changes
	})
	if err == nil {
		clear(w.measured)
	}
	return err
}

// watches reports whether a database of that path would be this watcher's.
func (w *watcher) watches(database string) bool {
	for _, p := range w.finder.paths {
		if database == p.path || strings.HasPrefix(database, strings.TrimSuffix(p.path, "/")+"/") {
			return w.finder.shard.Has(database)
		}
	}
	return false
}
