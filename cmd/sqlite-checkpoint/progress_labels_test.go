package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// TestProgressLabels: what the bar says in each phase of the engine, and how far a reader is.
func TestProgressLabels(t *testing.T) {
	shown, err := os.Create(filepath.Join(t.TempDir(), "terminal"))
	if err != nil {
		t.Fatal(err)
	}
	defer shown.Close()
	p := &progress{tty: shown, stop: make(chan struct{})}
	for phase, want := range map[engine.Phase]position{
		engine.PhaseWait:  {label: "opening"},
		engine.PhaseCopy:  {label: "copying", done: 1 << 20, total: 2 << 20},
		engine.PhaseCheck: {label: "checking 2.0 MiB"},
		engine.PhaseWrite: {label: "writing", done: 1 << 20, total: 2 << 20},
	} {
		p.engine(engine.Progress{Phase: phase, Done: 1 << 20, Total: 2 << 20})
		p.tick()
		bar := p.at.bar
		if p.at.bar = nil; p.at != want || bar == nil || p.drawn != bar {
			t.Errorf("%s: %+v, drawn %v", phase, p.at, p.drawn == bar)
		}
		p.at.bar = bar
	}
	reader := p.follow(strings.NewReader("0123456789"), "reading", 10)
	for _, want := range []int64{4, 8} {
		io.ReadFull(reader, make([]byte, 4))
		if p.at.label != "reading" || p.at.done != want || p.at.total != 10 {
			t.Errorf("%+v, want %d bytes of 10", p.at, want)
		}
	}
	bar := p.at.bar
	p.show("reading", 9, 10)
	if p.at.bar != bar {
		t.Error("the bar of the same work is a new one: its clock begins again")
	}
	for _, next := range []position{{"reading", 9, 11, nil}, {"writing", 9, 11, nil}} {
		if p.show(next.label, next.done, next.total); p.at.bar == bar {
			t.Errorf("%s has the bar of other work", next.label)
		}
		bar = p.at.bar
	}
	if p.clear(); p.drawn != nil || p.at.label != "" {
		t.Errorf("after clear: %+v", p.at)
	}
	var none *progress
	none.show("reading", 1, 2)
	if r := strings.NewReader(""); none.follow(r, "", 0) != io.Reader(r) {
		t.Error("nothing follows without a bar")
	}
}

// TestProgressOnlyOnTerminals: there is a bar on a terminal that can show one, unless a flag says
// otherwise.
func TestProgressOnlyOnTerminals(t *testing.T) {
	_, tty := openTerminal(t, 80)
	defer tty.Close()
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, c := range []struct {
		stderr *os.File
		term   string
		flags  commonFlags
		want   bool
	}{
		{tty, "xterm", commonFlags{}, true},
		{tty, "", commonFlags{}, true},
		{tty, "dumb", commonFlags{}, false},
		{file, "xterm", commonFlags{}, false},
		{tty, "xterm", commonFlags{JSON: true}, false},
		{tty, "xterm", commonFlags{Quiet: true}, false},
		{tty, "xterm", commonFlags{NoProgress: true}, false},
	} {
		t.Setenv("TERM", c.term)
		con := newConsole(file, c.stderr)
		con.configure(c.flags)
		if (con.progress != nil) != c.want || con.json != c.flags.JSON || con.quiet != c.flags.Quiet {
			t.Errorf("%q, %+v: %v", c.term, c.flags, con.progress != nil)
		}
		con.yieldTerminal()
		if con.progress != nil {
			t.Error("a bar is left on the terminal")
		}
	}
}
