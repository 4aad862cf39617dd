package faults

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// judge compares an aftermath with what the trial demands.
func (p *running) judge(o *aftermath) {
	p.Helper()
	p.tally.add(codeName(o.code), 1)
	if !slices.Contains(p.trial.codes, o.code) {
		p.Errorf("%v, want one of %d: %s", p.process.Cmd.ProcessState, p.trial.codes, o.stderr)
	}
	p.judgeWords(o)
	p.judgeDirectories(o)
	p.judgeOutput(o)
	p.judgeForecast(p.forecast, o.code, o.stdout)
	if left := p.children(); len(left) > 0 {
		p.Errorf("processes are left: %v", left)
	}
	if p.Failed() {
		p.Logf("ran: %q", p.process.Cmd.Args)
	}
}

// judgeWords checks that a run has printed one error line if it failed, and none otherwise.
func (p *running) judgeWords(o *aftermath) {
	p.Helper()
	if strings.Contains(o.stderr, "goroutine ") || strings.Contains(o.stderr, "panic") {
		if !p.trial.silent {
			p.Errorf("it crashed: %s", o.stderr)
		}
		return
	}
	lines := strings.Count(o.stderr, "sqlite-checkpoint: error: ")
	if lines != 0 && o.code == 0 || lines != 1 && o.code != 0 && !p.trial.silent {
		p.Errorf("exit status %d, and %d error lines: %q", o.code, lines, o.stderr)
	}
	for _, text := range p.trial.says {
		if o.code != 0 && !strings.Contains(o.stderr, text) {
			p.Errorf("it does not say %q: %s", text, o.stderr)
		}
	}
}

// judgeDirectories checks that the source is untouched, and nothing is left behind.
func (p *running) judgeDirectories(o *aftermath) {
	p.Helper()
	if !p.trial.moves {
		p.before[0].MustMatch(p.TB, p.source)
	}
	for i, dir := range []string{p.Temp, p.out} {
		before, after := p.before[i+1], p.inside(dir)
		if p.trial.litter {
			before, after = withoutPrivate(before), withoutPrivate(after)
		}
		if dir == p.out && (o.code == 0 || p.trial.killed) {
			for _, name := range p.trial.makes {
				if after[name] == "" && o.code == 0 {
					p.Errorf("%s was not made", name)
				}
				delete(after, name)
			}
		}
		if diff := before.Diff(after); diff != "" {
			p.Errorf("%s has changed:\n%s", dir, diff)
		}
	}
}

// judgeOutput checks that a run that failed has written no stream, and one that succeeded a whole
// one.
func (p *running) judgeOutput(o *aftermath) {
	p.Helper()
	if p.trial.stdout != nil || p.trial.spoils || p.trial.prints {
		return
	}
	switch {
	case o.code == 0 && slices.Contains(p.trial.args, "-") && slices.Contains([]string{"backup", "snapshot"},
		p.trial.args[0]):
		if err := readStream(o.stdout, stream.ReaderOptions{Unproven: slices.Contains(p.trial.args,
			"--no-trailer")}); err != nil {
			p.Errorf("exit status 0, and %d bytes that are no stream: %v", len(o.stdout), err)
		}
	case o.code == 0:
	case len(o.stdout) > 0 && !p.trial.sends:
		p.Errorf("exit status %d, and %d bytes came out", o.code, len(o.stdout))
	case len(o.stdout) > 0 && !p.trial.killed && readStream(o.stdout, stream.ReaderOptions{}) == nil:
		p.Errorf("exit status %d, and a whole stream came out", o.code)
	}
}

// readStream reads a stream to its end.
func readStream(data []byte, opts stream.ReaderOptions) error {
	r := stream.NewReader(bytes.NewReader(data), opts)
	defer r.Close()
	_, err := io.Copy(io.Discard, r)
	return err
}

func codeName(code int) string {
	if code < 0 {
		return "killed"
	}
	return fmt.Sprintf("exit %d", code)
}
