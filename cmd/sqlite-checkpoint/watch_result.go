package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// A watchEvent is a run of CMD, as a line of JSON.
type watchEvent struct {
	Command  string `json:"command"`
	Event    string `json:"event"` // "run"
	Database path   `json:"database,omitempty"`
	Changed  int    `json:"changed"`
	Status   int    `json:"status"`
	Elapsed  millis `json:"elapsed_ms"`
	Failures int    `json:"failures"`
	TimedOut bool   `json:"timed_out,omitempty"` // --timeout has stopped it
}

// printRun prints how a run of CMD has ended. before is the number of failures in a row before it.
func (w *watcher) printRun(c *child, now time.Time, status, before int) {
	failures := c.job.Failures()
	key := fmt.Sprintf("status %d of %s", status, c.job.Name)
	if status == exitUsage || status == exitSource {
		if before > 0 && w.said[key] {
			return
		}
		w.said[key] = true
	} else {
		delete(w.said, fmt.Sprintf("status %d of %s", exitUsage, c.job.Name))
		delete(w.said, fmt.Sprintf("status %d of %s", exitSource, c.job.Name))
	}
	took := now.Sub(c.began)
	switch {
	case w.con.json:
		event := watchEvent{"watch", "run", path(c.job.Name), c.changed, status, millis(took), failures, c.termed}
		io.WriteString(w.con.stderr, jsonLine(event))
	case status != 0:
		text := fmt.Sprintf("%s: exit status %d after %s%s", w.label(c), status, round(took), inRow(failures))
		if c.termed {
			text += ": stopped by --timeout"
		}
		w.con.say("error", text)
	case !w.con.quiet:
		text := fmt.Sprintf("%s: %s: done in %s", program, w.label(c), round(took))
		if before > 0 {
			text += fmt.Sprintf(", after %d failures", before)
		}
		io.WriteString(w.con.stderr, line(text))
	}
}

func inRow(failures int) string {
	if failures < 2 {
		return ""
	}
	return fmt.Sprintf(", %d failures in a row", failures)
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// label names what a child works on.
func (w *watcher) label(c *child) string {
	if c.job.Name != "" {
		return c.job.Name
	}
	return fmt.Sprintf("%d of %s changed", c.changed, plural(len(c.job.Paths()), "database", "databases"))
}

// sayOnce warns, unless it has done so before.
func (w *watcher) sayOnce(key, text string) {
	if !w.said[key] {
		w.said[key] = true
		w.con.say("warning", text)
	}
}

// A watchResult is what watch has done until it stopped.
type watchResult struct {
	Command   string `json:"command"`
	Databases int    `json:"databases"` // at the last look
	Runs      int    `json:"runs"`
	Failed    int    `json:"failed"`
	Elapsed   millis `json:"elapsed_ms"`

	start time.Time
	worst int // the highest exit status
}

func (r *watchResult) count(status int) {
	r.Runs++
	if status != 0 {
		r.Failed++
	}
	r.worst = max(r.worst, status)
}

func (r *watchResult) lines() []string {
	return []string{fmt.Sprintf("%s, %s, %d failed",
		plural(r.Databases, "database", "databases"), plural(r.Runs, "run", "runs"), r.Failed)}
}

// conclude prints the result. With --once a failure of CMD is ours.
func (w *watcher) conclude() error {
	w.result.Elapsed = since(w.result.start)
	if err := w.con.show(&w.result); err != nil {
		return err
	}
	switch {
	case !w.Once:
		return nil
	case w.result.Failed > 0:
		err := fmt.Errorf("%d of %s of %s failed", w.result.Failed, plural(w.result.Runs, "run", "runs"), w.argv[0])
		return &fault{kind: kindCommandFailed, err: err, code: w.result.worst}
	case len(w.seen.problems) > 0:
		err := errors.New(w.seen.problems[0].text)
		return &fault{kind: engine.KindUnreadable, err: err, hint: "see the warnings above"}
	}
	return nil
}
