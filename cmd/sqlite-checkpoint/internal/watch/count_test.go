package watch

import (
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

func TestPause(t *testing.T) {
	s := New(Options{Every: 10 * time.Minute, Poll: 10 * time.Second}, State{}, start)
	for failures, want := range map[int]time.Duration{
		1: time.Minute, 2: 2 * time.Minute, 3: 4 * time.Minute, 4: 8 * time.Minute, 5: 10 * time.Minute,
		6: 10 * time.Minute, 100: 10 * time.Minute,
	} {
		if got := s.pause(failures); got != want {
			t.Errorf("%d failures: %v", failures, got)
		}
	}
}

// What AtLeast demands does not wait for Every.
func TestAtLeastBeforeEvery(t *testing.T) {
	d := newDay(t, Options{Each: true, Every: time.Hour, AtLeast: 30 * time.Minute}, "a")
	d.modify[10*time.Minute] = func() { d.commit("a") }
	d.mustRun(59*time.Minute, "a@0s", "a@30m0s")
}

// The counts, the state and the next moment, from the first look to the end of a database.
func TestCounts(t *testing.T) {
	d := newDay(t, Options{Each: true, Every: time.Hour, Poll: time.Second}, "a", "b")
	check := func(when string, want Count) {
		t.Helper()
		if got := d.s.Count(); got != want {
			t.Errorf("%s: %+v, want %+v", when, got, want)
		}
	}
	d.s.Look(start, d.tokens, nothingHidden)
	check("at first", Count{Databases: 2, Changed: 2})
	if len(d.s.State().Jobs) != 0 {
		t.Error("there is a state of what has not run")
	}
	a, b := d.s.job("a"), d.s.job("b")
	d.s.Begin(a, start, nil)
	check("one runs", Count{Databases: 2, Changed: 2, Running: 1})
	d.s.Cancel(a)
	if d.s.NextDue(start) != a || a.Failures() != 0 {
		t.Error("one that was canceled is not due, or has failed")
	}
	d.s.Begin(a, start, nil)
	d.s.End(a, start, 1)
	d.s.Begin(b, start, nil)
	d.s.End(b, start.Add(time.Second), 1)
	check("both have failed", Count{Databases: 2, Changed: 2, Failing: 2})
	if next, ok := d.s.Next(); !ok || !next.Equal(start.Add(time.Minute)) {
		t.Errorf("next at %v, %v", next, ok)
	}
	d.s.Begin(a, start, nil)
	d.s.End(a, start, 0)
	check("one has succeeded", Count{Databases: 2, Changed: 1, Failing: 1})
	d.commit("a")
	d.s.Look(start, d.tokens, nothingHidden)
	d.s.Look(start, map[string]engine.Token{"b": d.tokens["b"]}, func(path string) bool { return path == "a" })
	check("what has changed is hidden", Count{Databases: 2, Changed: 1, Failing: 1})
	d.s.Begin(b, start, nil)
	d.s.Look(start, nil, nothingHidden)
	check("a running one is known to the end", Count{Running: 1, Failing: 1})
	d.s.End(b, start, 0)
	d.s.Look(start, nil, nothingHidden)
	if check("none", Count{}); len(d.s.jobs) != 0 {
		t.Errorf("%d jobs are left", len(d.s.jobs))
	}
}

// A state of runs for each database is not one of runs for all, nor the other way round.
func TestStateOfTheOtherKind(t *testing.T) {
	for _, each := range []bool{true, false} {
		s := New(Options{Each: each}, State{Jobs: map[string]JobState{"": {Failures: 1}, "a": {Failures: 1}}}, start)
		if n := s.Count(); n.Failing != 1 || s.jobs[map[bool]string{true: "a"}[each]] == nil {
			t.Errorf("each %v: %+v", each, n)
		}
		for _, j := range s.State().Jobs {
			if !j.Began.IsZero() || !j.Ended.IsZero() {
				t.Errorf("what never ran began %v, ended %v", j.Began, j.Ended)
			}
		}
	}
}
