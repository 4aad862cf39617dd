package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/suspend"
)

// The longest lines that are printed, including the newline. restic 0.18 reads our stderr line by
// line, and hangs on lines over 64 KiB.
const (
	humanLimit = 1 << 10
	jsonLimit  = 48 << 10
)

const program = "sqlite-checkpoint"

// A console prints one result to stdout, or to stderr if stdout is the stream or CMD's, and
// everything else to stderr.
type console struct {
	stdout, stderr *os.File
	endDelay       atomic.Int64                  // nanoseconds, see allow
	hangups        atomic.Pointer[chan struct{}] // see takeHangups
	mu             sync.Mutex                    // guards what configure, reportTo and measureBy set, for abandon
	json           bool
	quiet          bool
	command        string
	report         *report      // nil without --report
	measured       *measurement // nil without --metrics
	streaming      bool         // stdout is the stream
	progress       *progress
	suspension     *suspend.Delay
	result         result // what was shown, for the report
}

func newConsole(stdout, stderr *os.File) *console { return &console{stdout: stdout, stderr: stderr} }

// configure applies the flags that every command has.
func (c *console) configure(f commonFlags) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.json, c.quiet = f.JSON, f.Quiet
	if !f.JSON && !f.Quiet && !f.NoProgress && isTerminal(c.stderr) && os.Getenv("TERM") != "dumb" {
		c.progress = newProgress(c.stderr)
	}
}

// reportTo makes r the report that finish writes, unless r would replace another file.
func (c *console) reportTo(r *report) error {
	if err := r.check(); err != nil {
		r.close()
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report = r
	return nil
}

// measureBy makes m the metrics that finish writes, unless m would replace another file.
func (c *console) measureBy(m *measurement) error {
	if err := m.begin(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.measured = m
	return nil
}

// yieldTerminal removes the progress bar before another program writes to the terminal.
func (c *console) yieldTerminal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress.close()
	c.progress = nil
}

// warn prints a fact that the operator should know.
func (c *console) warn(text string) { c.aside("warning", text) }

// note prints something that is no problem but may be surprising.
func (c *console) note(text string) { c.aside("note", text) }

// advise prints what to do next.
func (c *console) advise(text string) { c.aside("hint", text) }

func (c *console) aside(kind, text string) {
	if !c.quiet {
		c.say(kind, text)
	}
}

func (c *console) say(kind, text string) {
	c.progress.clear()
	io.WriteString(c.stderr, line(program+": "+kind+": "+text))
}

// wantsJSON reports whether --json or --report was given.
func (c *console) wantsJSON() bool { return c.json || c.report != nil }

// show prints the result: one line of JSON, or lines for people unless --quiet. A complete stream
// does not fail because stderr cannot be written to.
func (c *console) show(r result) error {
	c.progress.clear()
	c.result = r
	if c.streaming {
		io.WriteString(c.stderr, c.render(r))
		return nil
	}
	if _, err := io.WriteString(c.stdout, c.render(r)); err != nil {
		return outputFault("standard output", err)
	}
	return nil
}

func (c *console) render(r result) string {
	if c.json {
		return jsonLine(r)
	}
	if c.quiet {
		return ""
	}
	var text strings.Builder
	for _, l := range r.lines() {
		text.WriteString(line(l))
	}
	return text.String()
}

// finish prints err, writes the report, and returns the exit status. A success whose report cannot
// be written is a failure.
func (c *console) finish(ctx context.Context, err error) int {
	defer c.progress.close()
	defer c.report.close()
	code, outcome := 0, any(c.result)
	if err != nil && !errors.Is(err, errShown) {
		f := explain(ctx, c.command, err)
		c.printFailure(f)
		code, outcome = f.Code, f
	}
	for _, err := range []error{c.report.end(code, outcome), c.measured.end(code, c.result)} {
		if err == nil {
			continue
		}
		f := explain(context.Background(), c.command, err)
		if code != 0 { // there is one error, and one JSON object
			c.warn(string(f.Message))
			continue
		}
		c.printFailure(f)
		code = f.Code
	}
	return code
}

// printFailure prints a failure.
func (c *console) printFailure(f failure) {
	c.progress.clear()
	if c.json {
		io.WriteString(c.stderr, jsonLine(f))
		return
	}
	c.say("error", string(f.Message))
	for _, finding := range f.Findings {
		c.say("finding", string(finding))
	}
	if f.Hint != "" {
		c.say("hint", string(f.Hint))
	}
}

func jsonLine(value any) string {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic("cmd: internal error: " + err.Error())
	}
	return escapeJSON(text.String())
}

// escapeJSON escapes characters in encoded JSON that could control a terminal or mislead the eye.
// They occur in strings only.
func escapeJSON(encoded string) string {
	var out strings.Builder
	for _, r := range encoded {
		switch {
		case r < utf8.RuneSelf || unicode.IsGraphic(r):
			out.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}

// line turns text into exactly one line of at most humanLimit bytes.
func line(text string) string { return shorten(printable(text), humanLimit-1) + "\n" }

// printable escapes characters that could control a terminal, break a line or mislead the eye.
func printable(text string) string {
	var out strings.Builder
	for i, r := range text {
		_, width := utf8.DecodeRuneInString(text[i:])
		if unicode.IsGraphic(r) && (r != utf8.RuneError || width > 1) {
			out.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteToASCII(text[i : i+width])
		out.WriteString(quoted[1 : len(quoted)-1])
	}
	return out.String()
}

// shorten removes the middle: the beginning says what was tried, the end says why.
func shorten(text string, limit int) string {
	const gap = " ... "
	if len(text) <= limit {
		return text
	}
	half := (limit - len(gap)) / 2
	return strings.ToValidUTF8(text[:half], "") + gap + strings.ToValidUTF8(text[len(text)-half:], "")
}
