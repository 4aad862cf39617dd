package main

import (
	"io"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

const (
	progressDelay = 300 * time.Millisecond // how long work must have lasted before a bar is worth its flicker
	progressTick  = 100 * time.Millisecond // between two drawings
	barWidth      = 20
)

// A progress is the one bar of a run, on a terminal. The work only stores its position, and a
// goroutine of its own draws: a terminal can be paused (Ctrl-S, a stalled connection) while the
// work holds a lock on the database. A nil progress does nothing.
type progress struct {
	tty  *os.File
	stop chan struct{}

	mu sync.Mutex // held for a moment only
	at position

	drawing sync.Mutex // held while the terminal is written to
	drawn   *progressbar.ProgressBar
}

// A position is how far the work is. A total of 0 is unknown and shows a spinner; no label means no
// bar.
type position struct {
	label       string
	done, total int64
	bar         *progressbar.ProgressBar // of this label and total: its clock began with them
}

func newProgress(tty *os.File) *progress {
	p := &progress{tty: tty, stop: make(chan struct{})}
	go p.draw()
	return p
}

// engine follows a call into the engine.
func (p *progress) engine(at engine.Progress) {
	switch at.Phase {
	case engine.PhaseWait:
		p.show("opening", 0, 0)
	case engine.PhaseCopy:
		p.show("copying", at.Done, at.Total)
	case engine.PhaseCheck: // SQLite does not report progress
		p.show("checking "+humanize.IBytes(uint64(at.Total)), 0, 0)
	case engine.PhaseWrite:
		p.show("writing", at.Done, at.Total)
	}
}

// show stores the position. It never waits for the terminal.
func (p *progress) show(label string, done, total int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	bar := p.at.bar
	if label != p.at.label || total != p.at.total {
		bar = nil
	}
	if bar == nil && label != "" {
		bar = newBar(&lineWriter{tty: p.tty}, label, total)
	}
	p.at = position{label, done, total, bar}
}

// clear removes the bar from the terminal, so that a line can be written.
func (p *progress) clear() {
	if p == nil {
		return
	}
	p.show("", 0, 0)
	p.drawing.Lock()
	defer p.drawing.Unlock()
	p.render(position{})
}

// close ends the drawing.
func (p *progress) close() {
	if p == nil {
		return
	}
	p.clear()
	close(p.stop)
}

func (p *progress) draw() {
	ticks := time.NewTicker(progressTick)
	defer ticks.Stop()
	for due := time.Now().Add(progressDelay); ; {
		select {
		case <-p.stop:
			return
		case now := <-ticks.C:
			if now.After(due) && inForeground(p.tty) {
				p.tick()
			}
		}
	}
}

func (p *progress) tick() {
	p.drawing.Lock()
	defer p.drawing.Unlock()
	p.mu.Lock()
	at := p.at
	p.mu.Unlock()
	p.render(at)
}

// render moves the bar, or takes the last one off the terminal and draws another.
func (p *progress) render(at position) {
	fresh := at.bar != p.drawn
	if fresh && p.drawn != nil {
		p.drawn.Finish()
	}
	p.drawn = at.bar
	if at.bar == nil {
		return
	}
	if at.total > 0 {
		at.bar.Set64(at.done) // draws where the percentage has changed
	}
	if at.total <= 0 || fresh {
		at.bar.RenderBlank()
	}
}

// inForeground reports whether this process is in the foreground of the terminal: a background job
// would draw over what its user types.
func inForeground(tty *os.File) bool {
	group, err := unix.IoctlGetInt(descriptor(tty), unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp() // an error: it is not our controlling terminal
}

// newBar starts the clock of a bar, from which its rate is computed, and draws nothing.
func newBar(out io.Writer, label string, total int64) *progressbar.ProgressBar {
	if total <= 0 {
		total = -1
	}
	bar := progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(out),
		progressbar.OptionSetDescription(label),
		progressbar.OptionShowBytes(total > 0),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionSetPredictTime(total > 0),
		progressbar.OptionSpinnerType(14),
		progressbar.OptionSetSpinnerChangeInterval(0), // else the bar draws by itself
		progressbar.OptionSetWidth(barWidth),
		progressbar.OptionClearOnFinish(),
	)
	bar.StartWithoutRender()
	return bar
}

// A lineWriter truncates what does not fit on the terminal's line: a bar that wraps scrolls with
// each drawing.
type lineWriter struct {
	tty    *os.File
	column int
}

func (w *lineWriter) Write(p []byte) (int, error) {
	width, _, err := term.GetSize(descriptor(w.tty))
	if err != nil || width <= 0 {
		width = 80
	}
	_, err = w.tty.WriteString(w.cut(string(p), width))
	return len(p), err
}

// cut leaves the last column free, as some terminals wrap when it is filled.
func (w *lineWriter) cut(text string, width int) string {
	var kept []byte
	for _, r := range text {
		if w.column++; r == '\r' {
			w.column = 0
		}
		if w.column < width {
			kept = utf8.AppendRune(kept, r)
		}
	}
	return string(kept)
}

// follow counts what is read from r.
func (p *progress) follow(r io.Reader, label string, total int64) io.Reader {
	if p == nil {
		return r
	}
	return &followed{r: r, p: p, label: label, total: total}
}

type followed struct {
	r           io.Reader
	p           *progress
	label       string
	done, total int64
}

func (f *followed) Read(b []byte) (int, error) {
	n, err := f.r.Read(b)
	f.done += int64(n)
	f.p.show(f.label, f.done, f.total)
	return n, err
}
