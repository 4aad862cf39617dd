package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/metrics"
	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/watch"
	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// TestEndWithin: TERM comes five seconds before the end, or half of a shorter time, and what was to
// happen earlier anyway stays.
func TestEndWithin(t *testing.T) {
	now := time.Now()
	at := func(seconds float64) time.Time { return now.Add(time.Duration(seconds * float64(time.Second))) }
	for _, c := range []struct {
		had        child
		grace      float64
		term, kill time.Time
	}{
		{child{}, 60, at(55), at(60)},
		{child{}, 10, at(5), at(10)},
		{child{}, 3, at(1.5), at(3)},
		{child{}, 0, at(0), at(0)},
		{child{termAt: at(1), killAt: at(2)}, 60, at(1), at(2)},
		{child{termAt: at(100), killAt: at(200)}, 60, at(55), at(60)},
	} {
		c.had.endWithin(now, time.Duration(c.grace*float64(time.Second)))
		if !c.had.termAt.Equal(c.term) || !c.had.killAt.Equal(c.kill) {
			t.Errorf("%v: TERM after %v, KILL after %v", c.grace, c.had.termAt.Sub(now), c.had.killAt.Sub(now))
		}
	}
	for _, c := range []struct {
		child child
		want  time.Time
	}{
		{child{}, time.Time{}},
		{child{termAt: at(1), killAt: at(2)}, at(1)},
		{child{termAt: at(1), killAt: at(2), termed: true}, at(2)},
	} {
		if got := c.child.deadline(); !got.Equal(c.want) {
			t.Errorf("%+v: %v, want %v", c.child, got, c.want)
		}
	}
	exited := child{termAt: at(1), killAt: at(2), termed: true, exited: true}
	if in := time.Until(exited.deadline()); in <= 0 || in > groupPoll {
		t.Errorf("the group is looked at after %v", in)
	}
}

// TestExitOfChild: a CMD that was asked to exit has not succeeded, and one that was asked because
// watch ends has not failed either.
func TestExitOfChild(t *testing.T) {
	for _, c := range []struct {
		termed, stopping bool
		status, want     int
		runs, failed     int
		says             string
	}{
		{false, false, 0, 0, 1, 0, `"status":0`},
		{false, false, 5, 5, 1, 1, `"status":5`},
		{true, false, 0, 143, 1, 1, `"timed_out":true`},
		{true, false, 9, 9, 1, 1, `"timed_out":true`},
		{false, true, 0, 0, 1, 0, `"status":0`},
		{true, true, 0, 143, 0, 0, "stopped before it was done"},
	} {
		w, ended := running(t)
		ended.termed, w.stopping = c.termed, c.stopping
		var grace int64
		_, said := captured(t, func(con *console) {
			con.json, w.con = true, con
			con.allow(time.Minute)
			w.exit(childEnd{ended, c.status})
			grace = con.endDelay.Load()
		})
		if ended.status != c.want || len(w.children) > 0 || ended.job.Failures() != c.failed || !w.dirty ||
			w.result.Runs != c.runs || w.result.Failed != c.failed || w.cut != (c.runs == 0) {
			t.Errorf("%+v: status %d, %d failures, cut %v", c, ended.status, ended.job.Failures(), w.cut)
		}
		if grace != 0 {
			t.Errorf("%+v: a signal leaves %v although no CMD runs", c, time.Duration(grace))
		}
		if strings.Count(said, "\n") != 1 || !strings.Contains(said, c.says) || w.schedule.Count().Running != 0 {
			t.Errorf("%+v: %q, %+v", c, said, w.schedule.Count())
		}
		measured := w.measured[metrics.Series{Command: "watch", Database: "/srv/a.db"}]
		status, counted := measured[metrics.ExitStatus]
		_, success := measured[metrics.LastSuccess]
		if running, known := measured[metrics.Running]; !known || running != 0 || counted != (c.runs > 0) ||
			counted && status != float64(c.want) || success != (counted && c.want == 0) {
			t.Errorf("%+v: measured %v", c, measured)
		}
	}
}

// TestCommandCannotStart: that is an attempt, too.
func TestCommandCannotStart(t *testing.T) {
	w, c := running(t)
	captured(t, func(con *console) {
		w.con, w.argv = con, []string{"/none"}
		w.exit(childEnd{c, 0})
		clear(w.measured)
		w.start(c.job, time.Now())
	})
	measured := w.measured[metrics.Series{Command: "watch", Database: "/srv/a.db"}]
	if measured[metrics.LastAttempt] == 0 || measured[metrics.ExitStatus] != 127 || measured[metrics.Running] != 0 {
		t.Errorf("measured %v", measured)
	}
}

// running returns a watcher of one database, and its CMD, which has just exited.
func running(t *testing.T) (*watcher, *child) {
	t.Helper()
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	w := &watcher{
		watchCmd: &watchCmd{metricsFlag: metricsFlag{"m.prom"}}, said: map[string]bool{}, children: map[*child]bool{},
		measured: map[metrics.Series]metrics.Values{},
		schedule: watch.New(watch.Options{Each: true}, watch.State{}, now),
	}
	w.schedule.Look(now, map[string]engine.Token{"/srv/a.db": {}}, func(string) bool { return false })
	w.schedule.All()
	c := &child{job: w.schedule.NextDue(now), process: cmd.Process, began: now}
	w.schedule.Begin(c.job, now, nil)
	w.children[c] = true
	return w, c
}
