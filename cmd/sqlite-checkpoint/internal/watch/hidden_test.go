package watch

import (
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

func nothingHidden(string) bool { return false }

// What is hidden for a while is not forgotten, and what is gone is, whatever else is hidden.
func TestHidden(t *testing.T) {
	d := newDay(t, Options{Each: true, Every: time.Minute}, "a", "b", "c")
	d.until(time.Minute)
	b := d.tokens["b"]
	delete(d.tokens, "b")
	delete(d.tokens, "c")
	d.s.Look(d.now, d.tokens, func(path string) bool { return path == "b" })
	if n := d.s.Count(); n.Databases != 2 {
		t.Errorf("%+v", n)
	}
	d.tokens["b"] = b
	d.mustRun(time.Hour)
	delete(d.tokens, "b")
	d.until(2 * time.Hour)
	if n := d.s.Count(); n.Databases != 1 {
		t.Errorf("%+v", n)
	}
}

// The command is not run for what is hidden, not even again after a failure or on request; what was
// committed before is not forgotten, nor what was done.
func TestNothingIsDueForHidden(t *testing.T) {
	hide := func(name string) func(string) bool { return func(path string) bool { return path == name } }
	d := newDay(t, Options{Each: true, Every: time.Hour}, "a")
	d.outcome = func(string) (int, time.Duration) { return 1, time.Second }
	d.until(time.Second)
	d.until(2 * time.Second)
	d.s.All()
	d.s.Look(d.now, nil, hide("a"))
	if due := d.s.due(d.now.Add(24 * time.Hour)); len(due) != 0 {
		t.Error("due although it is hidden")
	}
	d.outcome = func(string) (int, time.Duration) { return 0, time.Second }
	d.mustRun(time.Hour, "a@10s")

	together := newDay(t, Options{Every: time.Minute}, "a", "b")
	together.until(30 * time.Second)
	d = newDay(t, Options{Every: time.Minute})
	d.s = New(d.s.options, together.s.State(), start)
	d.commits = together.commits
	d.tokens = map[string]engine.Token{"a": together.tokens["a"]}
	d.commit("a")
	d.s.Look(start, d.tokens, hide("b"))
	if j := d.s.NextDue(start.Add(time.Hour)); j == nil {
		t.Error("not due although a database has changed")
	} else {
		d.s.Begin(j, start, nil)
		d.s.End(j, start, 0)
	}
	d.tokens["b"] = together.tokens["b"]
	d.mustRun(time.Hour)
}
