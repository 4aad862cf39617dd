package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/stage"
)

// The outcomes for a database.
const (
	outcomeCopied    = "copied"
	outcomeUnchanged = "unchanged"
	outcomeFailed    = "failed"
)

type shadowedDatabase struct {
	Source    path   `json:"source"`
	SizeBytes int64  `json:"size_bytes"`
	SHA256    string `json:"sha256"`
	Check     string `json:"check"`
	Outcome   string `json:"outcome"`
	Error     text   `json:"error,omitempty"`
}

type shadowResult struct {
	Command    string             `json:"command"`
	Sources    []path             `json:"sources"`
	CMD        path               `json:"cmd"`
	ExitStatus int                `json:"exit_status"` // CMD's
	Count      int                `json:"database_count"`
	SizeBytes  int64              `json:"size_bytes"`
	Copied     int                `json:"copied"`
	Unchanged  int                `json:"unchanged"`
	Failed     int                `json:"failed"`
	Skew       millis             `json:"skew_ms"`
	Elapsed    millis             `json:"elapsed_ms"`
	Databases  []shadowedDatabase `json:"databases"`
	Omitted    int                `json:"databases_omitted,omitempty"` // to keep the line short
	whole      bool               // nothing was wrong
}

// fit leaves out databases until the result fits into a line of jsonLimit bytes, the failed ones
// last.
func (r *shadowResult) fit() *shadowResult {
	short := *r
	for len(jsonLine(&short)) > jsonLimit {
		if short.Omitted == 0 {
			short.Databases = slices.Clone(r.Databases)
			slices.SortStableFunc(short.Databases, func(a, b shadowedDatabase) int { return a.rank() - b.rank() })
		}
		short.Databases = short.Databases[:len(short.Databases)*3/4]
		short.Omitted = r.Count - len(short.Databases)
	}
	return &short
}

func (d shadowedDatabase) rank() int {
	return slices.Index([]string{outcomeFailed, outcomeCopied, outcomeUnchanged}, d.Outcome)
}

// result describes the run. Skew is the time between the moments of the first and the last copy.
func (s *shadowRun) result(start time.Time) *shadowResult {
	r := &shadowResult{
		Command: "shadow", Sources: paths(s.Dirs), CMD: path(strings.Join(s.argv, " ")), Count: len(s.copies),
	}
	var first, last time.Time
	for _, c := range s.copies {
		d := s.shadowed(c)
		r.SizeBytes += d.SizeBytes
		switch d.Outcome {
		case outcomeCopied:
			r.Copied++
		case outcomeUnchanged:
			r.Unchanged++
		default:
			r.Failed++
		}
		r.Databases = append(r.Databases, d)
		if c.Err != nil {
			continue
		}
		if first.IsZero() || c.Moment.Before(first) {
			first = c.Moment
		}
		if c.Moment.After(last) {
			last = c.Moment
		}
	}
	r.Skew, r.Elapsed = millis(last.Sub(first)), since(start)
	return r
}

func (s *shadowRun) shadowed(c stage.Copy) shadowedDatabase {
	d := shadowedDatabase{Source: path(s.typed(c.Source)), Outcome: outcomeCopied}
	switch {
	case c.Err != nil:
		d.Outcome, d.Error = outcomeFailed, text(c.Err.Error())
		return d
	case c.Unchanged:
		d.Outcome = outcomeUnchanged
	}
	d.SizeBytes, d.SHA256, d.Check = c.Info.Size, fmt.Sprintf("%x", c.SHA256), string(c.Info.Level)
	return d
}

func (r *shadowResult) lines() []string {
	line := fmt.Sprintf("%s: %s, %s, %d copied, %d unchanged, %d failed", r.CMD,
		plural(r.Count, "database", "databases"), humanize.IBytes(uint64(r.SizeBytes)), r.Copied, r.Unchanged, r.Failed)
	if !r.whole {
		return []string{line}
	}
	return []string{line, "complete: " + plural(r.Count, "database", "databases")}
}

// failure returns an error if databases could not be copied: of the kind of the worst one, with a
// finding for each.
func (s *shadowRun) failure() error {
	var worst row
	var hint string
	var findings []string
	for _, c := range s.copies {
		if c.Err == nil {
			continue
		}
		findings = append(findings, c.Err.Error())
		if r := classify(c.Err); worst.kind == "" || severity(r) > severity(worst) {
			worst, hint = r, advice("shadow", r, c.Err)
		}
	}
	if len(findings) == 0 {
		return nil
	}
	what := "CMD was not started"
	if s.KeepGoing {
		what, hint = "CMD did not see them", strings.TrimPrefix(hint, keepGoing)
	}
	err := fmt.Errorf("shadow %s: %d of %s could not be copied; %s",
		strings.Join(s.Dirs, " "), len(findings), plural(len(s.copies), "database", "databases"), what)
	return &fault{kind: worst.kind, err: err, hint: hint, findings: findings}
}

// severity orders failures: those that another run cannot fix count most.
func severity(r row) int {
	return slices.Index([]int{exitBusy, exitSpace, exitSource, exitCorrupt}, r.code)
}
