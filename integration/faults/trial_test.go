package faults

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// The exit statuses of the program.
const (
	codeDone    = 0
	codeOther   = 1
	codeUsage   = 2
	codeSource  = 3
	codeBusy    = 4
	codeCorrupt = 5
	codeSpace   = 6
	codeOutput  = 7
	codeStream  = 8
	codeExists  = 9
)

// A trial is one run of the program, what is done to it, and its required outcome. Unless it says
// otherwise, the source is untouched, nothing is left in the temporary and output directories, and
// a run that fails writes nothing to stdout.
type trial struct {
	args   []string // default: backup DB -
	under  []string // a program that runs ours: strace, setpriv, ...
	env    []string
	dir    string
	stdin  io.Reader
	stdout *os.File // nil: a pipe, and what comes out of it is in the aftermath
	stall  bool     // nobody reads that pipe until release

	codes []int    // default: 0
	says  []string // of the error: the path, and the cause
	makes []string // what a run that succeeds leaves in the output directory

	moves  bool // another process changes the source
	sends  bool // bytes may be out when it fails, but they are no whole stream
	spoils bool // what is sent is damaged on the way out
	litter bool // private directories may stay, or come and go: it is killed, or not alone
	silent bool // there may be no error line for people: it is killed, or asked for JSON
	killed bool // when it has failed, all it makes may be there, or all be sent
	prints bool // stdout is for people
	weigh  bool // processor time and memory count
}

// A running is a trial in progress.
type running struct {
	*scene
	trial    trial
	process  *harness.Process
	mark     string // in its environment
	weights  string
	before   [3]testkit.Picture
	forecast *forecast
	started  time.Time
	output   bytes.Buffer
	pipe     *os.File // the read end of its stdout
	reading  chan struct{}
	read     chan struct{}
	release  func()
}

// An aftermath is the outcome of a trial.
type aftermath struct {
	*scene
	code    int // -1 when a signal ended it
	stdout  []byte
	stderr  string
	elapsed time.Duration
	cpu     float64 // seconds, if weighed
	rss     int64   // KiB, if weighed
	trace   string
}

var sceneMarks atomic.Int64

func (s *scene) start(tr trial) *running {
	s.Helper()
	if tr.args == nil {
		tr.args = []string{"backup", s.db, "-"}
	}
	if tr.codes == nil {
		tr.codes = []int{codeDone}
	}
	p := &running{scene: s, trial: tr, read: make(chan struct{}), reading: make(chan struct{})}
	p.release = sync.OnceFunc(func() { close(p.reading) })
	if !tr.stall {
		p.release()
	}
	p.mark = fmt.Sprintf("FAULT=%d.%d", os.Getpid(), sceneMarks.Add(1))
	cmd := p.command()
	stdout := p.connect(cmd)
	if !tr.moves {
		p.before[0] = testkit.TakePicture(s.TB, s.source)
	}
	p.before[1], p.before[2] = s.inside(s.Temp), s.inside(s.out)
	p.forecast = p.foreseen(cmd.Env)
	p.started = time.Now()
	p.process = s.Launch(cmd)
	s.Cleanup(func() { p.kill(); p.release() })
	if stdout != nil {
		stdout.Close()
	}
	return p
}

func (p *running) command() *exec.Cmd {
	p.Helper()
	argv := slices.Concat(p.trial.under, []string{p.Program}, p.trial.args)
	if p.trial.weigh {
		// The figures of a process include those from before exec, when it was a copy of this large
		// one.
		p.weights = filepath.Join(p.Root, fmt.Sprintf("weights.%d", p.traces.Add(1)))
		argv = slices.Concat([]string{harness.Tool(p.TB, "time"), "-q", "-o", p.weights, "-f", "%U %S %M"}, argv)
	}
	cmd := p.Other(argv...)
	cmd.Dir = cmp.Or(p.trial.dir, p.Dir)
	cmd.Env = slices.Concat(cmd.Env, []string{p.mark}, p.trial.env)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = harness.Hang
	cmd.Stdin = p.trial.stdin
	if cmd.Stdin == nil {
		null, err := os.Open(os.DevNull)
		p.Check(err)
		p.Cleanup(func() { null.Close() })
		cmd.Stdin = null
	}
	return cmd
}

// kill kills the program and the commands that run it.
func (p *running) kill() { syscall.Kill(-p.process.Cmd.Process.Pid, syscall.SIGKILL) }

// connect connects stdout of the program and reads from it.
func (p *running) connect(cmd *exec.Cmd) (ours *os.File) {
	if p.trial.stdout != nil {
		cmd.Stdout = p.trial.stdout
		close(p.read)
		return nil
	}
	r, w, err := os.Pipe()
	p.Check(err)
	cmd.Stdout, p.pipe = w, r
	go func() {
		defer close(p.read)
		defer r.Close()
		<-p.reading
		io.Copy(&p.output, r)
	}()
	return w
}

// try runs the program and checks everything that the trial requires.
func (s *scene) try(tr trial) *aftermath {
	s.Helper()
	return s.start(tr).finish()
}

// finish waits for the end and checks everything that the trial requires.
func (p *running) finish() *aftermath {
	p.Helper()
	o := p.wait()
	p.judge(o)
	return o
}

// wait waits for the end, whatever it is.
func (p *running) wait() *aftermath {
	p.Helper()
	late := time.AfterFunc(harness.Hang, p.kill)
	ended, elapsed := p.process.Wait(), time.Since(p.started)
	if !late.Stop() {
		p.Errorf("still running after %v", harness.Hang)
	}
	p.release()
	<-p.read
	o := &aftermath{
		scene:   p.scene,
		code:    p.process.Cmd.ProcessState.ExitCode(),
		stdout:  p.output.Bytes(),
		stderr:  ended.Stderr,
		elapsed: elapsed,
	}
	if p.trial.weigh {
		var user, system float64
		_, err := fmt.Sscan(string(p.Read(p.weights)), &user, &system, &o.rss)
		p.Check(err)
		o.cpu = user + system
	}
	if i := slices.Index(p.trial.under, "-o"); i >= 0 {
		trace, _ := os.ReadFile(p.trial.under[i+1])
		o.trace = testkit.WholeCalls(string(trace))
	}
	return o
}
