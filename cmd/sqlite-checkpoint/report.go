package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// A report is the file that --report names. It says how the last run ended. A nil report does
// nothing.
type report struct {
	path     string
	dir      *atomicfile.Place // that of path, once check has opened it
	command  string
	operands []string // of DB, SRC and DEST, those that the command has; the first is the source
	started  time.Time
	success  string // when the last successful run of this command on this source ended; may be empty
}

// reportStart begins every report, and no other file.
const reportStart = `{"program":"` + program + `",`

// A reportHead is the beginning of every report, however the run ended.
type reportHead struct {
	Program  string `json:"program"`
	OK       bool   `json:"ok"`
	Code     int    `json:"code"`
	Command  string `json:"command"`
	Source   path   `json:"source"`
	Started  string `json:"started_at"`
	Finished string `json:"finished_at,omitempty"`
	Success  string `json:"last_success,omitempty"`
}

// newReport returns the report of a run, nil if path is empty. command may be nil.
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
		switch value := operand.Target.Interface().(type) {
		case string:
			r.operands = append(r.operands, value)
		case operands:
			r.operands = append(r.operands, value...)
		}
	}
	restore, ok := command.Selected().Target.Addr().Interface().(*restoreCmd)
	if ok && restore.FromCommand { // DB comes first, then CMD
		slices.Reverse(r.operands)
	}
	return r
}

// check refuses to replace anything but an earlier report.
func (r *report) check() error {
	if r == nil {
		return nil
	}
	if r.path == "-" {
		return usagef("--report writes a file, not stdout: name FILE (./- for a file of that name)")
	}
	for _, operand := range r.operands {
		if operand != "" && operand != "-" && belongsTo(r.path, operand) {
			return usagef("--report %s: the name belongs to %s", r.path, operand)
		}
	}
	if r.openDir() != nil {
		return nil // end reports it: a backup is worth more than its report
	}
	if err := r.checkReplaceable(); err != nil {
		return err
	}
	r.recall()
	return nil
}

// openDir opens the directory that the report is read and written in from now on.
func (r *report) openDir() (err error) {
	if r.dir != nil {
		return nil
	}
	if r.dir, err = atomicfile.OpenPlace(filepath.Dir(r.path)); err != nil {
		return statusFault(r.path, fmt.Errorf("write --report %s: %w", r.path, cause(err)))
	}
	return nil
}

// close closes the directory. It is idempotent.
func (r *report) close() {
	if r != nil && r.dir != nil {
		r.dir.Close()
	}
}

func (r *report) name() string { return atomicfile.Base(r.path) }

// recall reads the last success from the report of an earlier run. A command line that does not
// parse counts as one of the same command and source.
func (r *report) recall() {
	f, err := r.dir.Open(r.name())
	if err != nil {
		return
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		return
	}
	var earlier reportHead
	if err := json.Unmarshal(data, &earlier); err != nil {
		return
	}
	var source string
	if len(r.operands) > 0 {
		source = r.operands[0]
	}
	if alike(r.command, earlier.Command) && alike(source, string(earlier.Source)) {
		r.success = earlier.Success
	}
}

// alike reports whether two names may be the same; an empty one is unknown.
func alike(a, b string) bool { return a == b || a == "" || b == "" }

// checkReplaceable fails if the file exists and is not a report.
func (r *report) checkReplaceable() error {
	info, err := r.dir.Lstat(r.name())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Mode().IsRegular() {
		if f, err := r.dir.Open(r.name()); err == nil {
			defer f.Close()
			if startsWith(f, reportStart) {
				return nil
			}
		}
	}
	return &fault{
		kind: engine.KindExists, err: fmt.Errorf("--report %s: it exists and is not a report", r.path),
		hint: "choose another name, or delete it",
	}
}

// beginsWith reports whether path is a regular file that begins with prefix.
func beginsWith(path, prefix string) bool {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return startsWith(f, prefix)
}

func startsWith(f io.ReaderAt, prefix string) bool {
	start := make([]byte, len(prefix))
	_, err := f.ReadAt(start, 0)
	return err == nil && string(start) == prefix
}

// begin replaces the report of an earlier run, which could pass for this run's if this run is
// killed. An error is ignored: end will report it.
func (r *report) begin() {
	if r == nil {
		return
	}
	err := &fault{kind: kindUnfinished, err: errors.New("the run has not finished")}
	unfinished := explain(context.Background(), r.command, err)
	r.write(r.line(reportHead{Code: unfinished.Code}, unfinished))
}

// end writes the outcome of the run, a result or a failure.
func (r *report) end(code int, outcome any) error {
	if r == nil {
		return nil
	}
	finished := timestamp(time.Now())
	if code == 0 {
		r.success = finished
	}
	return r.write(r.line(reportHead{OK: code == 0, Code: code, Finished: finished}, outcome))
}

func (r *report) write(line string) error {
	if err := r.openDir(); err != nil {
		return err
	}
	if err := r.checkReplaceable(); err != nil {
		return err
	}
	if err := r.dir.Replace(r.name(), []byte(line), 0o644); err != nil {
		return statusFault(r.path, fmt.Errorf("write --report %s: %w", r.path, cause(err)))
	}
	return nil
}

// line returns the head as JSON, followed by the other fields of the outcome.
func (r *report) line(head reportHead, outcome any) string {
	head.Program, head.Command, head.Started, head.Success = program, r.command, timestamp(r.started), r.success
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

// fields decodes a JSON object.
func fields(object string) (m map[string]json.RawMessage) {
	if err := json.Unmarshal([]byte(object), &m); err != nil {
		panic("cmd: internal error: " + err.Error())
	}
	return m
}

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
