package main

import (
	"strings"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/watch"
	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// TestPrintRun: what watch says of the runs of one command, one after the other.
func TestPrintRun(t *testing.T) {
	now := time.Now()
	runs := []struct {
		status int
		termed bool
		lines  string // %s is the program
		json   string
	}{
		{0, false, "%s: /srv/a.db: done in 1.5s\n", `"status":0,"elapsed_ms":1500.00,"failures":0}`},
		{5, false, "%s: error: /srv/a.db: exit status 5 after 1.5s\n", `"status":5,"elapsed_ms":1500.00,"failures":1}`},
		{143, true, "%s: error: /srv/a.db: exit status 143 after 1.5s, 2 failures in a row: stopped by --timeout\n",
			`"status":143,"elapsed_ms":1500.00,"failures":2,"timed_out":true}`},
		{2, false, "%s: error: /srv/a.db: exit status 2 after 1.5s, 3 failures in a row\n", `"failures":3}`},
		{2, false, "", ""},
		{3, false, "%s: error: /srv/a.db: exit status 3 after 1.5s, 5 failures in a row\n", `"failures":5}`},
		{3, false, "", ""},
		{1, false, "%s: error: /srv/a.db: exit status 1 after 1.5s, 7 failures in a row\n", `"failures":7}`},
		{3, false, "%s: error: /srv/a.db: exit status 3 after 1.5s, 8 failures in a row\n", `"failures":8}`},
		{0, false, "%s: /srv/a.db: done in 1.5s, after 8 failures\n", `"failures":0}`},
		{3, false, "%s: error: /srv/a.db: exit status 3 after 1.5s\n", `"failures":1}`},
	}
	for _, mode := range []string{"", "json", "quiet"} {
		s := watch.New(watch.Options{Each: true}, watch.State{}, now)
		s.Look(now, map[string]engine.Token{"/srv/a.db": {}}, func(string) bool { return false })
		s.All()
		job := s.NextDue(now)
		w := &watcher{watchCmd: &watchCmd{}, said: map[string]bool{}}
		for i, run := range runs {
			before := job.Failures()
			s.Begin(job, now, nil)
			s.End(job, now, run.status)
			stdout, stderr := captured(t, func(con *console) {
				con.json, con.quiet, con.streaming, w.con = mode == "json", mode == "quiet", true, con
				end := now.Add(1500 * time.Millisecond)
				w.printRun(&child{job: job, began: now, termed: run.termed}, end, run.status, before)
			})
			want := strings.ReplaceAll(run.lines, "%s", program)
			if mode == "json" && run.json != "" {
				want = `{"command":"watch","event":"run","database":"/srv/a.db","changed":0,`
			} else if mode == "quiet" && run.status == 0 {
				want = ""
			}
			if stdout != "" || !strings.HasPrefix(stderr, want) || (want == "") != (stderr == "") ||
				mode == "json" && !strings.HasSuffix(strings.TrimSpace(stderr), run.json) {
				t.Errorf("%s run %d: %q, want %q %s", mode, i, stderr, want, run.json)
			}
		}
	}
}

// TestWatchConclusion: with --once, and only then, a failure of CMD is that of watch.
func TestWatchConclusion(t *testing.T) {
	for _, c := range []struct {
		once     bool
		statuses []int
		problems []problem
		code     int
		line     string
	}{
		{true, []int{0, 0}, nil, 0, "3 databases, 2 runs, 0 failed\n"},
		{true, []int{0, 7, 5}, nil, 7, "3 databases, 3 runs, 2 failed\n"},
		{true, []int{5}, []problem{{"x", "y"}}, 5, "3 databases, 1 run, 1 failed\n"},
		{true, []int{0}, []problem{{"x", "cannot be seen"}}, exitSource, "3 databases, 1 run, 0 failed\n"},
		{false, []int{7}, []problem{{"x", "y"}}, 0, "3 databases, 1 run, 1 failed\n"},
	} {
		w := &watcher{watchCmd: &watchCmd{Once: c.once}, argv: []string{"cmd"}}
		w.result = watchResult{Command: "watch", Databases: 3, start: time.Now().Add(-time.Minute)}
		w.seen.problems = c.problems
		for _, status := range c.statuses {
			w.result.count(status)
		}
		var err error
		_, stderr := captured(t, func(con *console) {
			con.streaming, w.con = true, con
			err = w.conclude()
		})
		code := 0
		if err != nil {
			code = explain(t.Context(), "watch", err).Code
		}
		if code != c.code || stderr != c.line || time.Duration(w.result.Elapsed) < time.Minute {
			t.Errorf("%+v: status %d (%v), %q, %v", c, code, err, stderr, w.result.Elapsed)
		}
		if code == 7 && err.Error() != "2 of 3 runs of cmd failed" {
			t.Error(err)
		}
	}
}
