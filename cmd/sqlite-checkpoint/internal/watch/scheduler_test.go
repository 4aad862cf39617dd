package watch

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

var start = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

// A day has a scheduler, its databases, and a command whose outcome the test decides.
type day struct {
	t       *testing.T
	s       *Scheduler
	now     time.Time
	poll    time.Duration
	jobs    int
	tokens  map[string]engine.Token
	modify  map[time.Duration]func() // what happens, by the time since start
	outcome func(name string) (status int, took time.Duration)
	running map[*Job]time.Time
	runs    []string
	commits int
}

func newDay(t *testing.T, options Options, names ...string) *day {
	d := &day{
		t: t, s: New(options, State{}, start), now: start, poll: 10 * time.Second, jobs: 4,
		tokens: map[string]engine.Token{}, modify: map[time.Duration]func(){}, running: map[*Job]time.Time{},
		outcome: func(string) (int, time.Duration) { return 0, time.Second },
	}
	for _, name := range names {
		d.commit(name)
	}
	return d
}

func (d *day) commit(name string) {
	d.commits++
	d.tokens[name] = token(d.t, d.commits, "")
}

// recent is a commit so recent that the token is doubted.
func (d *day) recent(name string) {
	d.commits++
	d.tokens[name] = token(d.t, d.commits, engine.DoubtRecent)
}

// token is the token of the nth state of a database.
func token(t testing.TB, n int, doubt engine.Doubt) (token engine.Token) {
	t.Helper()
	text := fmt.Sprintf("1 boot 1:1:1:%d:%d - - - 0", n, n)
	if doubt != "" {
		text = fmt.Sprintf("1 boot 1:1:1:%d:%d - - %s %x", n, n, doubt, n)
	}
	if err := token.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return token
}

// until lets time pass, second by second, up to that time since start. It returns the runs that
// began meanwhile.
func (d *day) until(limit time.Duration) []string {
	d.runs = nil
	for ; d.now.Sub(start) < limit; d.now = d.now.Add(time.Second) {
		since := d.now.Sub(start)
		if change := d.modify[since]; change != nil {
			change()
		}
		for j, end := range d.running {
			if !end.After(d.now) {
				status, _ := d.outcome(j.Name)
				delete(d.running, j)
				d.s.End(j, d.now, status)
			}
		}
		if since%d.poll == 0 {
			d.s.Look(d.now, d.tokens, nothingHidden)
		}
		for len(d.running) < d.jobs {
			j := d.s.NextDue(d.now)
			if j == nil {
				break
			}
			_, took := d.outcome(j.Name)
			d.s.Begin(j, d.now, nil)
			d.running[j] = d.now.Add(took)
			d.runs = append(d.runs, fmt.Sprintf("%s@%v", j.Name, since))
		}
	}
	return d.runs
}

func (d *day) mustRun(limit time.Duration, want ...string) {
	d.t.Helper()
	if got := d.until(limit); !reflect.DeepEqual(got, want) {
		d.t.Errorf("until %v: runs %q, want %q", limit, got, want)
	}
}

func TestRunsOnlyForCommits(t *testing.T) {
	d := newDay(t, Options{Each: true, Every: 15 * time.Minute}, "a", "b")
	d.modify[20*time.Minute] = func() { d.commit("a") }
	d.modify[21*time.Minute] = func() { d.commit("a") }
	d.modify[50*time.Minute] = func() { d.commit("c") }
	d.mustRun(10*time.Minute, "a@0s", "b@0s")
	d.mustRun(24*time.Hour, "a@20m0s", "a@35m0s", "c@50m0s")
}

func TestAllTogether(t *testing.T) {
	d := newDay(t, Options{Every: time.Hour}, "a", "b")
	d.modify[10*time.Minute] = func() { d.commit("a") }
	d.modify[20*time.Minute] = func() { d.commit("b") }
	d.modify[3*time.Hour] = func() { delete(d.tokens, "b") }
	d.mustRun(24*time.Hour, "@0s", "@1h0m0s")
}

// What is committed while the command runs is not in its copy, so the command runs again.
func TestCommitWhileRunning(t *testing.T) {
	d := newDay(t, Options{Each: true, Every: time.Minute}, "a")
	d.outcome = func(string) (int, time.Duration) { return 0, 30 * time.Second }
	d.modify[10*time.Second] = func() { d.commit("a") }
	d.mustRun(time.Hour, "a@0s", "a@1m0s")
}

func TestPausesAfterFailures(t *testing.T) {
	d := newDay(t, Options{Each: true, Every: 10 * time.Minute}, "a", "b")
	status := 1
	d.outcome = func(name string) (int, time.Duration) {
		if name == "a" {
			return status, time.Second
		}
		return 0, time.Second
	}
	d.modify[5*time.Minute] = func() { d.commit("b") }
	d.mustRun(time.Hour, "a@0s", "b@0s", "a@1m1s", "a@3m2s", "a@7m3s", "b@10m0s",
		"a@15m4s", "a@25m5s", "a@35m6s", "a@45m7s", "a@55m8s")
	status = 0
	d.mustRun(24*time.Hour, "a@1h5m9s")
	if n := d.s.Count(); n != (Count{Databases: 2}) {
		t.Errorf("at the end %+v", n)
	}
}

// A hanging command does not hold up others while there is a free slot.
func TestHangingCommand(t *testing.T) {
	d := newDay(t, Options{Each: true, Every: time.Hour}, "a", "b")
	d.jobs = 2
	d.outcome = func(name string) (int, time.Duration) {
		if name == "a" {
			return 0, 1000 * time.Hour
		}
		return 0, time.Second
	}
	d.modify[90*time.Minute] = func() { d.commit("a"); d.commit("b") }
	d.mustRun(24*time.Hour, "a@0s", "b@0s", "b@1h30m0s")
	if n := d.s.Count(); n != (Count{Databases: 2, Changed: 1, Running: 1}) {
		t.Errorf("at the end %+v", n)
	}
}

func TestAtLeast(t *testing.T) {
	d := newDay(t, Options{Each: true, Every: time.Hour, AtLeast: 6 * time.Hour}, "a")
	d.modify[7*time.Hour] = func() { d.commit("a") }
	d.mustRun(20*time.Hour, "a@0s", "a@6h0m0s", "a@7h0m0s", "a@13h0m0s", "a@19h0m0s")
}

// One run is enough for a commit that was seen at once, but a database that keeps changing is not
// put off forever.
func TestRecentCommits(t *testing.T) {
	d := newDay(t, Options{Each: true, Every: time.Minute}, "a")
	d.mustRun(time.Minute, "a@0s")
	d.poll = time.Second
	d.modify[100*time.Second] = func() { d.recent("a") }
	d.modify[102*time.Second] = func() { d.commit("a") }
	d.mustRun(time.Hour, "a@1m42s")
	for second := range 300 {
		d.modify[time.Hour+time.Duration(second)*time.Second] = func() { d.recent("a") }
	}
	d.modify[time.Hour+5*time.Minute] = func() { d.commit("a") }
	d.mustRun(2*time.Hour, "a@1h0m3s", "a@1h1m3s", "a@1h2m3s", "a@1h3m3s", "a@1h4m3s", "a@1h5m3s")
}

// A token that is taken right before the command begins covers what was committed since the last
// look.
func TestFreshTokens(t *testing.T) {
	d := newDay(t, Options{Each: true, Every: time.Minute}, "a")
	d.s.Look(d.now, d.tokens, nothingHidden)
	run := func(doubt engine.Doubt) {
		due := d.s.due(d.now)
		if len(due) != 1 {
			t.Fatalf("%d due", len(due))
		}
		d.commits++
		d.tokens["a"] = token(t, d.commits, doubt)
		d.s.Begin(due[0], d.now, d.tokens)
		d.s.End(due[0], d.now, 0)
		d.s.Look(d.now, d.tokens, nothingHidden)
		d.now = d.now.Add(time.Hour)
	}
	run("")
	if due := d.s.due(d.now); len(due) != 0 {
		t.Error("due although nothing was committed")
	}
	d.commit("a")
	d.s.Look(d.now, d.tokens, nothingHidden)
	run(engine.DoubtRecent)
	if due := d.s.due(d.now); len(due) != 1 {
		t.Error("a doubted token was taken for what the command covers")
	}
}

func TestHangup(t *testing.T) {
	d := newDay(t, Options{Each: true, Every: time.Hour}, "a", "b", "c")
	d.outcome = func(name string) (int, time.Duration) {
		switch name {
		case "b":
			return 1, time.Second
		case "c":
			return 0, 100 * time.Second
		}
		return 0, time.Second
	}
	d.mustRun(30*time.Second, "a@0s", "b@0s", "c@0s")
	d.s.All()
	d.mustRun(3*time.Minute, "b@30s", "a@30s", "c@1m40s", "b@2m31s")
}

func TestOnce(t *testing.T) {
	past := newDay(t, Options{Each: true, Every: time.Hour}, "a", "b", "c")
	past.outcome = func(name string) (int, time.Duration) { return len(name) - 1, time.Second }
	past.commit("bad")
	past.until(30 * time.Second)
	d := newDay(t, Options{Each: true, Every: time.Hour, Once: true})
	d.tokens, d.commits, d.outcome = past.tokens, past.commits, past.outcome
	d.s = New(d.s.options, past.s.State(), start)
	d.commit("b")
	d.recent("c")
	d.mustRun(10*time.Minute, "bad@0s", "b@0s", "c@3s")
}

// A single look waits only for a recent commit to settle, not for the end of --at-least.
func TestOnceAtLeast(t *testing.T) {
	d := newDay(t, Options{Each: true, Once: true, AtLeast: time.Hour}, "a", "b")
	d.recent("b")
	d.mustRun(time.Minute, "a@0s", "b@3s")
	state := d.s.State()
	for _, test := range []struct {
		later time.Duration
		due   int
	}{{30 * time.Minute, 0}, {2 * time.Hour, 2}} {
		s := New(d.s.options, state, start.Add(test.later))
		s.Look(start.Add(test.later), d.tokens, nothingHidden)
		if _, waits := s.Next(); len(s.due(start.Add(test.later))) != test.due || waits != (test.due > 0) {
			t.Errorf("after %v: waits %v, want %d due", test.later, waits, test.due)
		}
	}
}

// A restart continues where the last process stopped: what is unchanged does not run, and a pause
// continues.
func TestRestart(t *testing.T) {
	options := Options{Each: true, Every: time.Hour}
	d := newDay(t, options, "a\xff\n", "b")
	d.outcome = func(name string) (int, time.Duration) { return len(name) / 3, time.Second }
	d.mustRun(2*time.Minute, "a\xff\n@0s", "b@0s", "a\xff\n@1m1s")
	state, err := Decode(d.s.State().Encode())
	if err != nil {
		t.Fatal(err)
	}
	d.s = New(options, state, d.now)
	d.running = map[*Job]time.Time{}
	d.commit("b")
	d.mustRun(50*time.Minute, "a\xff\n@3m2s", "a\xff\n@7m3s", "a\xff\n@15m4s", "a\xff\n@31m5s")
	d.mustRun(90*time.Minute, "b@1h0m0s", "a\xff\n@1h3m6s")
}

// With a short --every a command that fails does not run without a pause.
func TestPauseOfShortEvery(t *testing.T) {
	d := newDay(t, Options{Each: true, Poll: 10 * time.Second}, "a")
	d.outcome = func(string) (int, time.Duration) { return 1, time.Second }
	d.mustRun(30*time.Second, "a@0s", "a@11s", "a@22s")
}

// A look that was begun before the command was does not know more than the command.
func TestLookWhileCommandBegins(t *testing.T) {
	d := newDay(t, Options{Each: true}, "a")
	d.s.Look(start, d.tokens, nothingHidden)
	before := d.tokens
	d.tokens = map[string]engine.Token{}
	d.commit("a")
	j := d.s.NextDue(start)
	d.s.Begin(j, start.Add(2*time.Second), d.tokens)
	d.s.Look(start.Add(time.Second), before, nothingHidden)
	d.s.End(j, start.Add(3*time.Second), 0)
	if n := d.s.Count(); n.Changed != 0 {
		t.Errorf("%+v", n)
	}
}
