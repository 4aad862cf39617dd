package main

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// The verdicts.
const (
	verdictReady    = "ready"
	verdictReadyBut = "ready_but"
	verdictFails    = "would_fail"
)

// How much a finding matters.
const (
	severityError   = "error"   // the backup would fail
	severityWarning = "warning" // the copy may be less than you think
	severityNote    = "note"
)

// findings has the severity of each of the engine's findings, and what to do about it.
var findings = map[engine.FindingCode]struct{ severity, remedy string }{
	engine.FindingNetwork: {severityWarning,
		"run the backup on the machine, and in the container, where its application runs"},
	engine.FindingHardLinks: {severityWarning, otherPath},
	engine.FindingMounted: {severityWarning,
		"mount the directory that it is in, with its -wal, in place of the file"},
	engine.FindingReplaced: {severityWarning,
		"restart its application, and compare the copy with what it should hold"},
	engine.FindingForeignWAL: {severityWarning,
		"find out where the -wal came from before its application opens the database again"},
	engine.FindingLargeWAL: {severityWarning,
		"end the transaction that keeps the log from starting over"},
	engine.FindingLitestream: {severityNote, "use backup, and no checkpoint but PASSIVE"},
	engine.FindingWALReset: {severityNote,
		"update its application's SQLite to 3.51.3, 3.50.7 or 3.44.6; until then use backup, which never checkpoints"},
	engine.FindingWeakCheck: {severityNote,
		"run PRAGMA integrity_check in its application, which has what is missing here"},
}

type doctorFinding struct {
	Code     string `json:"code"`
	Severity string `json:"severity"`
	Evidence text   `json:"evidence"`
	Remedy   text   `json:"remedy"`
}

type doctorDatabase struct {
	Path       path            `json:"path"`
	Verdict    string          `json:"verdict"`
	ExitStatus int             `json:"exit_status"` // that backup would have
	Backup     string          `json:"backup"`      // an engine.Forecast
	Check      string          `json:"check"`       // that the copy would pass
	SizeBytes  int64           `json:"size_bytes"`  // of the image
	SpaceBytes int64           `json:"space_bytes"` // needed in the temporary directory
	Expected   millis          `json:"expected_ms"`
	Findings   []doctorFinding `json:"findings"`
	kind       engine.Kind     // of the failure
}

type doctorResult struct {
	Command   string           `json:"command"`
	Paths     []path           `json:"paths"`
	Ready     int              `json:"ready"`
	ReadyBut  int              `json:"ready_but"`
	WouldFail int              `json:"would_fail"`
	Elapsed   millis           `json:"elapsed_ms"`
	Databases []doctorDatabase `json:"databases"`
	none      int              // of the paths led to no database
}

// diagnosis is the verdict on one database. The error comes first among its findings.
func diagnosis(name string, p engine.Prediction) doctorDatabase {
	d := doctorDatabase{
		Path: path(name), Verdict: verdictReady, Backup: string(p.Inspection.Backup), Check: string(p.Level),
		SizeBytes: p.Size, SpaceBytes: p.Space, Expected: millis(p.Duration), Findings: []doctorFinding{},
	}
	if p.Err != nil {
		r := classify(p.Err)
		d.Verdict, d.ExitStatus, d.kind = verdictFails, r.code, r.kind
		d.Backup, d.Check, d.Expected = string(engine.ForecastRefused), "", 0
		if r.code == exitBusy {
			d.Backup = string(engine.ForecastBusy)
		}
		d.Findings = append(d.Findings,
			doctorFinding{string(r.kind), severityError, text(p.Err.Error()), text(advice("backup", r, p.Err))})
	}
	for _, f := range p.Findings {
		about := findings[f.Code]
		d.Findings = append(d.Findings,
			doctorFinding{string(f.Code), about.severity, text(f.Evidence), text(about.remedy)})
	}
	if p.Err == nil && len(d.Findings) > 0 {
		d.Verdict = verdictReadyBut
	}
	return d
}

// count counts the verdicts.
func (r *doctorResult) count() {
	for _, d := range r.Databases {
		switch d.Verdict {
		case verdictReady:
			r.Ready++
		case verdictReadyBut:
			r.ReadyBut++
		default:
			r.WouldFail++
		}
		if d.kind == engine.KindMissing {
			r.none++
		}
	}
}

// lines are for people. A hint is given once, and so is a note that is about many databases.
func (r *doctorResult) lines() []string {
	var lines []string
	given := map[text]bool{}
	add := func(indent string, f doctorFinding, also string) {
		lines = append(lines, fmt.Sprintf("%s%s: %s%s", indent, f.Severity, f.Evidence, also))
		if !given[f.Remedy] {
			lines = append(lines, indent+"hint: "+string(f.Remedy))
		}
		given[f.Remedy] = true
	}
	common := r.commonNotes()
	for _, d := range r.Databases {
		lines = append(lines, fmt.Sprintf("%s: %s", d.Path, d.verdict()))
		for _, f := range d.Findings {
			if len(common[f.Code]) == 0 {
				add("  ", f, "")
			}
		}
	}
	for _, code := range slices.Sorted(maps.Keys(common)) {
		add("", common[code][0], ", and the same goes for "+
			plural(len(common[code])-1, "other database", "other databases"))
	}
	last := fmt.Sprintf("%s: %d ready, %d ready with findings, %d would fail",
		r.databases(), r.Ready, r.ReadyBut, r.WouldFail-r.none)
	if r.none > 0 {
		last += "; " + r.pathsWithout()
	}
	return append(lines, last)
}

// commonNotes are the notes that more than one database has, by their code.
func (r *doctorResult) commonNotes() map[string][]doctorFinding {
	notes := map[string][]doctorFinding{}
	for _, d := range r.Databases {
		for _, f := range d.Findings {
			if f.Severity == severityNote {
				notes[f.Code] = append(notes[f.Code], f)
			}
		}
	}
	maps.DeleteFunc(notes, func(_ string, same []doctorFinding) bool { return len(same) < 2 })
	return notes
}

func (r *doctorResult) databases() string {
	return plural(len(r.Databases)-r.none, "database", "databases")
}

func (r *doctorResult) pathsWithout() string {
	return plural(r.none, "path leads to no database", "paths lead to no database")
}

func (d doctorDatabase) verdict() string {
	expected := fmt.Sprintf("%s, about %v", humanize.IBytes(uint64(d.SizeBytes)),
		max(time.Second, time.Duration(d.Expected).Round(time.Second)))
	switch d.Verdict {
	case verdictReady:
		return "ready, " + expected
	case verdictReadyBut:
		return "ready, but with findings, " + expected
	}
	return fmt.Sprintf("would fail, with exit status %d", d.ExitStatus)
}
