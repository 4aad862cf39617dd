package main

import (
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// progressDelay is how long work must have lasted before a bar is worth its flicker.
const progressDelay = 300 * time.Millisecond

// A progress is the one bar of a run, on a terminal. A nil progress does nothing.
type progress struct {
	out io.Writer

	mu          sync.Mutex // the first bar comes from a timer
	due         bool
	label       string
	done, total int64
	bar         *progressbar.ProgressBar
}

func newProgress(out io.Writer) *progress {
	p := &progress{out: out}
	time.AfterFunc(progressDelay, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.due = true
		p.render()
	})
	return p
}

var phaseLabels = map[engine.Phase]string{
	engine.PhaseWait:  "opening",
	engine.PhaseCopy:  "copying",
	engine.PhaseCheck: "checking",
}

// engine follows a call into the engine.
func (p *progress) engine(at engine.Progress) {
	if at.Phase == engine.PhaseCheck {
		at.Total = 0 // SQLite does not tell how far it is
	}
	p.show(phaseLabels[at.Phase], at.Done, at.Total)
}

// show moves the bar, or begins another for another label. A total of 0 is not known and shows as a spinner.
func (p *progress) show(label string, done, total int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if label != p.label {
		p.erase()
	}
	p.label, p.done, p.total = label, done, total
	p.render()
}

func (p *progress) render() {
	if !p.due || p.label == "" {
		return
	}
	if p.bar == nil {
		p.bar = newBar(p.out, p.label, p.total)
	}
	if p.total > 0 {
		p.bar.Set64(p.done)
	}
}

// clear takes the bar off the terminal, so that a line can be written.
func (p *progress) clear() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	p.label = ""
}

func (p *progress) erase() {
	if p.bar != nil {
		p.bar.Finish()
		p.bar = nil
	}
}

func newBar(out io.Writer, label string, total int64) *progressbar.ProgressBar {
	if total <= 0 {
		total = -1
	}
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(out),
		progressbar.OptionSetDescription(label),
		progressbar.OptionShowBytes(total > 0),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionSetPredictTime(total > 0),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSpinnerType(14),
		progressbar.OptionFullWidth(),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetRenderBlankState(true),
	)
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
