package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// A report is the file that --report names: how the last run ended, for monitoring. A nil report does nothing.
type report struct {
	path     string
	command  string
	operands []string // DB, SRC and DEST, as far as the command has them; the first is what it works on
	started  time.Time
}

// reportStart begins every report, and tells one from any other file.
const reportStart = `{"program":"` + program + `",`

// A reportHead is what every report begins with, whatever became of the run.
type reportHead struct {
	Program  string `json:"program"`
	OK       bool   `json:"ok"`
	Code     int    `json:"code"`
	Command  string `json:"command"`
	Source   path   `json:"source"`
	Started  string `json:"started_at"`
	Finished string `json:"finished_at,omitempty"`
}

// newReport gives the report of a run, or nil if none was asked for. command is what was parsed, which may be nothing.
func newReport(path string, command *kong.Context) *report {
	if path == "" {
		return nil
	}
	r := &report{path: path, started: time.Now()}
	if command == nil || command.Selected() == nil {
		return r
	}
	r.command = command.Selected().Name
	for _, operand := range command.Selected().Positional {
		if operand.Target.Kind() == reflect.String {
			r.operands = append(r.operands, operand.Target.String())
		}
	}
	return r
}

// check refuses to replace anything but an earlier report: a slip must not cost a database.
func (r *report) check() error {
	if r == nil {
		return nil
	}
	if info, err := os.Stat(filepath.Dir(r.path)); err != nil || !info.IsDir() {
		return &fault{kind: kindUsage, err: fmt.Errorf("--report %s: its directory does not exist", r.path), hint: "create the directory first"}
	}
	for _, operand := range r.operands {
		if operand != "" && operand != "-" && belongsTo(r.path, operand) {
			return usagef("--report %s: the name belongs to %s", r.path, operand)
		}
	}
	return r.checkReplaceable()
}

// checkReplaceable fails if there is a file of that name which is not a report.
func (r *report) checkReplaceable() error {
	info, err := os.Lstat(r.path)
	if os.IsNotExist(err) {
		return nil
	}
	if err == nil && info.Mode().IsRegular() && beginsWith(r.path, reportStart) {
		return nil
	}
	return &fault{
		kind: string(engine.KindExists), err: fmt.Errorf("--report %s: it exists and is not a report", r.path),
		hint: "choose another name, or delete it",
	}
}

// beginsWith reports whether path is a regular file that begins so. It does not wait for the writer of a FIFO.
func beginsWith(path, prefix string) bool {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	start := make([]byte, len(prefix))
	_, err = f.ReadAt(start, 0)
	return err == nil && string(start) == prefix
}

// begin replaces the report of an earlier run, which would be taken for this one's if this one were killed. A failure
// does not keep a backup from being made: end meets it, too.
func (r *report) begin() {
	if r == nil {
		return
	}
	unfinished := explain(context.Background(), r.command, &fault{kind: kindUnfinished, err: errors.New("the run has not finished")})
	r.write(r.line(reportHead{Code: unfinished.Code}, unfinished))
}

// end writes how the run ended: with its result, or with a failure.
func (r *report) end(code int, outcome any) error {
	if r == nil {
		return nil
	}
	return r.write(r.line(reportHead{OK: code == 0, Code: code, Finished: timestamp(time.Now())}, outcome))
}

func (r *report) write(line string) error {
	if err := r.checkReplaceable(); err != nil {
		return err
	}
	if err := atomicfile.Replace(r.path, []byte(line), 0o644); err != nil {
		return fileFault(fmt.Errorf("write --report %s: %w", r.path, cause(err)))
	}
	return nil
}

// line renders the head, and then what else the outcome has.
func (r *report) line(head reportHead, outcome any) string {
	head.Program, head.Command, head.Started = program, r.command, timestamp(r.started)
	if len(r.operands) > 0 {
		head.Source = path(r.operands[0])
	}
	first := jsonLine(head)
	known, more := fields(first), fields(jsonLine(outcome))
	for key := range known {
		delete(more, key)
	}
	if len(more) == 0 {
		return first
	}
	return strings.TrimSuffix(first, "}\n") + "," + strings.TrimPrefix(jsonLine(more), "{")
}

// fields takes a JSON object apart.
func fields(object string) (m map[string]json.RawMessage) {
	if err := json.Unmarshal([]byte(object), &m); err != nil {
		panic("cmd: internal error: " + err.Error())
	}
	return m
}

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
