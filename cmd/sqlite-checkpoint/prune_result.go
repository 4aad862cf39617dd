package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// A pruneResult is what prune found and did.
type pruneResult struct {
	Command      string           `json:"command"`
	Directory    path             `json:"directory"`
	DryRun       bool             `json:"dry_run"`
	Databases    []prunedDatabase `json:"databases"`
	Removed      int              `json:"removed"`
	RemovedBytes int64            `json:"removed_bytes"`
	Elapsed      millis           `json:"elapsed_ms"`
}

// A prunedDatabase is what became of the copies of one database, the newest first.
type prunedDatabase struct {
	Database  path         `json:"database"`
	Keep      []prunedCopy `json:"keep"`
	Remove    []prunedCopy `json:"remove"`
	LeftAlone []prunedCopy `json:"left_alone"` // not proven
	Refused   text         `json:"refused,omitempty"`

	newest *datedCopy
	doomed []*datedCopy
}

type prunedCopy struct {
	Name    path      `json:"name"`
	Time    time.Time `json:"time"`
	Reasons []string  `json:"reasons,omitempty"`
	Problem text      `json:"problem,omitempty"`
}

func pruned(c *datedCopy, reasons []string) prunedCopy {
	p := prunedCopy{Name: path(c.Name.String()), Time: c.Time, Reasons: reasons}
	if c.problem != nil {
		p.Problem = text(c.problem.Error())
	}
	return p
}

// refusal returns an error if prune refused to remove copies of a database.
func (r *pruneResult) refusal() (refusal error) {
	for _, database := range r.Databases {
		if database.Refused == "" {
			continue
		}
		err := fmt.Errorf("prune %s: no copy of %s was removed: %s", r.Directory, database.Database, database.Refused)
		f := &fault{kind: kindDamagedCopies, err: err, hint: removeDamaged}
		if database.newest.forbidden() {
			f.kind, f.hint = engine.KindUnreadable, readAsOwner
		}
		refusal = moreSerious(refusal, f)
	}
	return refusal
}

func (r *pruneResult) lines() (lines []string) {
	kept, remove, removed := 0, "remove", "removed"
	if r.DryRun {
		remove, removed = "would remove", "would remove"
	}
	for _, database := range r.Databases {
		for _, c := range database.Keep {
			lines = append(lines, fmt.Sprintf("keep %s: %s", c.Name, strings.Join(c.Reasons, ", ")))
		}
		for _, c := range database.LeftAlone {
			lines = append(lines, fmt.Sprintf("leave alone %s: %s", c.Name, c.Problem))
		}
		for _, c := range database.Remove {
			lines = append(lines, remove+" "+string(c.Name))
		}
		if database.Refused != "" {
			lines = append(lines, fmt.Sprintf("%s: %s", database.Database, database.Refused))
		}
		kept += len(database.Keep)
	}
	return append(lines, fmt.Sprintf("%s: kept %s, %s %d (%s)", r.Directory, plural(kept, "copy", "copies"),
		removed, r.Removed, humanize.IBytes(uint64(r.RemovedBytes))))
}
