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

// The longest lines that leave us, newline included. A consumer that reads our stderr line by line must never
// choke on one: restic 0.18 hangs on lines over 64 KiB.
const (
	humanLimit = 1 << 10
	jsonLimit  = 48 << 10
)

const program = "sqlite-checkpoint"

// A console is where a run speaks: one result on stdout, or on stderr when stdout is the stream, and everything
// else on stderr.
type console struct {
	stdout, stderr *os.File
	endDelay       atomic.Int64 // nanoseconds, see allow
	mu             sync.Mutex   // of what configure and reportTo set, for abandon
	json           bool
	quiet          bool
	command        string
	report         *report // nil without --report
	streaming      bool    // stdout is the stream
	progress       *progress
	suspension     *suspend.Delay
	result         result // the one shown, for the report
}

func newConsole(stdout, stderr *os.File) *console { return &console{stdout: stdout, stderr: stderr} }

// configure takes over the flags that every command has.
func (c *console) configure(f commonFlags) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.json, c.quiet = f.JSON, f.Quiet
	if !f.JSON && !f.Quiet && !f.NoProgress && isTerminal(c.stderr) && os.Getenv("TERM") != "dumb" {
		c.progress = newProgress(c.stderr)
	}
}

// reportTo has finish write the report r, unless r would replace something else.
func (c *console) reportTo(r *report) error {
	if err := r.check(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report = r
	return nil
}

// yieldTerminal ends the progress bar, as another program is about to write to the terminal.
func (c *console) yieldTerminal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress.close()
	c.progress = nil
}

// warn tells of something about the source that its operator should know.
func (c *console) warn(text string) { c.aside("warning", text) }

// note tells of something that is in order but may surprise.
func (c *console) note(text string) { c.aside("note", text) }

// advise says what to do next.
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

// show prints the result: as JSON one line, else lines for people, which --quiet leaves out. What cannot be told on
// stderr is no failure of a stream that is complete.
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

// finish prints err, writes the report, and returns the exit status. A report that cannot be written makes a success a
// failure.
func (c *console) finish(ctx context.Context, err error) int {
	defer c.progress.close()
	code, outcome := 0, any(c.result)
	if err != nil && !errors.Is(err, errShown) {
		f := explain(ctx, c.command, err)
		c.tell(f)
		code, outcome = f.Code, f
	}
	if err := c.report.end(code, outcome); err != nil {
		f := explain(context.Background(), c.command, err)
		c.tell(f)
		if code == 0 {
			code = f.Code
		}
	}
	return code
}

// tell prints a failure.
func (c *console) tell(f failure) {
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

// escapeJSON escapes, in encoded JSON, what could move a cursor or mislead the eye: only its strings can have that.
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

// line makes one line of text, whatever is in it, and keeps it within humanLimit.
func line(text string) string { return shorten(printable(text), humanLimit-1) + "\n" }

// printable escapes what could move a cursor, break a line or mislead the eye.
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

// shorten takes what is too much out of the middle: the beginning says what was tried, the end says why.
func shorten(text string, limit int) string {
	const gap = " ... "
	if len(text) <= limit {
		return text
	}
	half := (limit - len(gap)) / 2
	return strings.ToValidUTF8(text[:half], "") + gap + strings.ToValidUTF8(text[len(text)-half:], "")
}
