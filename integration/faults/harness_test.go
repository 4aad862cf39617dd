package faults

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// A matrixRow is one row of the fault matrix: something that goes wrong outside the program, injected for real.
type matrixRow struct {
	row  int // in FAULTS.md
	name string
	try  func(s *scene)
}

func allFaults() []matrixRow {
	return slices.Concat(sourceFaults, lockFaults, outputFaults, streamFaults, otherFaults, neighbourFaults, destinationFaults)
}

// TestFaults injects every fault of the matrix.
func TestFaults(t *testing.T) {
	program := copyOfProgram(t)
	for _, f := range allFaults() {
		t.Run(fmt.Sprintf("%03d_%s", f.row, f.name), func(t *testing.T) {
			t.Parallel()
			s := newScene(t, program)
			defer func() { outcomes.add(f.row, f.name, s.tally.times(), s.tally.verdict(s.Failed())) }()
			f.try(s)
		})
	}
}

// TestFaultTable compares the table that people read with what is tested. make faults writes it anew.
func TestFaultTable(t *testing.T) {
	table, err := os.ReadFile("FAULTS.md")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(table, []byte(fallsShort)) {
		t.Errorf("FAULTS.md has a row that %s", fallsShort)
	}
	rows, names := map[int]bool{}, map[string]bool{}
	for _, f := range allFaults() {
		if rows[f.row] || names[f.name] || f.name == "" || f.try == nil {
			t.Errorf("row %d %q: twice, nameless, or without injection", f.row, f.name)
		}
		rows[f.row], names[f.name] = true, true
		if !bytes.Contains(table, fmt.Appendf(nil, "\n| %d | %s |", f.row, f.name)) {
			t.Errorf("FAULTS.md has no row %d, %s", f.row, f.name)
		}
	}
}

// outcomes are of all faults that this process has injected. TestMain writes them down.
var outcomes faultTable

// A faultTable is what came of each fault, as Markdown.
type faultTable struct {
	mutex sync.Mutex
	lines map[string]string
}

// add notes an outcome. The loops over all system calls have no row in the matrix, and come at the end; calls that a command
// never makes are left out.
func (r *faultTable) add(row int, name string, injected int, outcome string) {
	if row == 0 && injected == 0 {
		return
	}
	key, number := fmt.Sprintf("%03d", row), fmt.Sprint(row)
	if row == 0 {
		key, number = "loop "+name, ""
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.lines == nil {
		r.lines = map[string]string{}
	}
	r.lines[key] = fmt.Sprintf("| %s | %s | %d | %s |\n", number, name, injected, outcome)
}

// write puts the table where make faults takes it from, if there is anything to tell.
func (r *faultTable) write() error {
	if len(r.lines) == 0 {
		return nil
	}
	text := `# What goes wrong, and what comes of it

Every fault is injected for real, by make test: with strace, full and read-only file systems, limits, other users, signals.
A row holds if the source was untouched (names, bytes, times, owners and modes of its directory), nothing was left behind, nothing or no whole
stream came out of a run that failed, its exit status was the right one, and one line said which path and why.

| row | fault | injected | outcome |
|---:|---|---:|---|
`
	for _, key := range slices.Sorted(maps.Keys(r.lines)) {
		text += r.lines[key]
	}
	return os.WriteFile("../../bin/faults.md", []byte(text), 0o644)
}

// An exitCount counts how often a fault was injected and how the program ended.
type exitCount struct {
	mutex sync.Mutex
	exits map[string]int
}

func (c *exitCount) add(outcome string, n int) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.exits == nil {
		c.exits = map[string]int{}
	}
	c.exits[outcome] += n
}

func (c *exitCount) times() (n int) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, times := range c.exits {
		n += times
	}
	return n
}

const fallsShort = "FALLS SHORT"

func (c *exitCount) verdict(failed bool) string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var parts []string
	for _, outcome := range slices.Sorted(maps.Keys(c.exits)) {
		parts = append(parts, fmt.Sprintf("%s: %d", outcome, c.exits[outcome]))
	}
	verdict := "holds"
	if failed {
		verdict = fallsShort
	}
	return verdict + " (" + strings.Join(parts, ", ") + ")"
}

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

// copyOfProgram copies the program to where every user can run it and nobody builds a new one meanwhile.
func copyOfProgram(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile(harness.Binary)
	if err != nil {
		t.Fatal(err)
	}
	dir := publicDir(t)
	path := filepath.Join(dir, "sqlite-checkpoint")
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// publicDir is a new directory that other users can enter, which that of t.TempDir is not.
func publicDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "faults")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A scene is where a fault happens: a source in a directory of its own, a temporary directory, and one for output.
type scene struct {
	*testing.T
	program           string
	root              string
	source, temp, out string // directories
	db                string // the source
	hidden            bool   // what is wrong with it only SQLite's check finds
	traces            atomic.Int32
	tally             *exitCount
}

func newScene(t *testing.T, program string) *scene {
	t.Helper()
	root := publicDir(t)
	s := &scene{T: t, program: program, root: root, tally: &exitCount{}}
	for name, dir := range map[string]*string{"source": &s.source, "temp": &s.temp, "out": &s.out} {
		*dir = filepath.Join(root, name)
		s.must(os.Mkdir(*dir, 0o755))
	}
	s.must(os.Chmod(s.temp, 0o1777))
	s.db = filepath.Join(s.source, "app.db")
	return s
}

// part is a scene of its own for one of several cases of a row; it counts for the row.
func (s *scene) part(name string, try func(s *scene)) {
	s.T.Run(strings.ReplaceAll(name, "/", "_"), func(t *testing.T) {
		part := newScene(t, s.program)
		part.tally = s.tally
		try(part)
	})
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// A trial is one run of the program, what is done to it, and what must come of it. Unless it says otherwise the source is
// untouched, nothing is left in the temporary and output directories, and nothing comes out of a run that fails.
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

	moves  bool // somebody else changes the source
	sends  bool // bytes may be out when it fails, but they are no whole stream
	spoils bool // what is sent is damaged on the way out
	litter bool // private directories may stay, or come and go: it is killed, or not alone
	silent bool // there may be no error line for people: it is killed, or asked for JSON
	killed bool // when it has failed, all it makes may be there, or all be sent
	prints bool // stdout is for people
	weigh  bool // processor time and memory count
}

// A running is a trial under way.
type running struct {
	*scene
	trial    trial
	cmd      *exec.Cmd
	mark     string
	weights  string
	before   [3]testkit.Picture
	forecast *forecast
	start    time.Time
	stderr   bytes.Buffer
	output   bytes.Buffer
	pipe     *os.File // the read end of its stdout
	reading  chan struct{}
	read     chan struct{}
	release  func()
	ended    chan struct{}
}

// An aftermath is what came of a trial.
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

// hangs is when a run is given up.
const hangs = 2 * time.Minute

var sceneMarks atomic.Int64

func (s *scene) start(tr trial) *running {
	s.Helper()
	if tr.args == nil {
		tr.args = []string{"backup", s.db, "-"}
	}
	if tr.codes == nil {
		tr.codes = []int{codeDone}
	}
	p := &running{scene: s, trial: tr, read: make(chan struct{}), reading: make(chan struct{}), ended: make(chan struct{})}
	p.release = sync.OnceFunc(func() { close(p.reading) })
	if !tr.stall {
		p.release()
	}
	p.mark = fmt.Sprintf("FAULT=%d.%d", os.Getpid(), sceneMarks.Add(1))
	argv := slices.Concat(tr.under, []string{s.program}, tr.args)
	if tr.weigh {
		// What the system says of a process includes what it was before exec: this one, which is large.
		p.weights = filepath.Join(s.root, fmt.Sprintf("weights.%d", s.traces.Add(1)))
		argv = slices.Concat([]string{harness.Tool(s.T, "time"), "-q", "-o", p.weights, "-f", "%U %S %M"}, argv)
	}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Dir = tr.dir
	p.cmd.Env = slices.Concat(os.Environ(), []string{"TMPDIR=" + s.temp, "SQLITE_TMPDIR=", p.mark}, tr.env)
	p.cmd.Stdin, p.cmd.Stderr = tr.stdin, &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = hangs
	stdout := p.connect()
	if !tr.moves {
		p.before[0] = testkit.TakePicture(s.T, s.source)
	}
	p.before[1], p.before[2] = s.inside(s.temp), s.inside(s.out)
	p.forecast = p.foreseen()
	p.start = time.Now()
	s.must(p.cmd.Start())
	s.Cleanup(func() { syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); p.release() })
	if stdout != nil {
		stdout.Close()
	}
	return p
}

// connect gives the program its stdout and reads what comes.
func (p *running) connect() (ours *os.File) {
	if p.trial.stdout != nil {
		p.cmd.Stdout = p.trial.stdout
		close(p.read)
		return nil
	}
	r, w, err := os.Pipe()
	p.must(err)
	p.cmd.Stdout, p.pipe = w, r
	go func() {
		defer close(p.read)
		defer r.Close()
		<-p.reading
		io.Copy(&p.output, r)
	}()
	return w
}

// try runs the program and checks all that the trial says.
func (s *scene) try(tr trial) *aftermath {
	s.Helper()
	return s.start(tr).finish()
}

// finish waits for the end and checks all that the trial says.
func (p *running) finish() *aftermath {
	p.Helper()
	late := time.AfterFunc(hangs, func() { syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) })
	err := p.cmd.Wait()
	elapsed := time.Since(p.start)
	if !late.Stop() {
		p.Errorf("still running after %v", hangs)
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		p.Fatal(err)
	}
	p.release()
	<-p.read
	o := &aftermath{
		scene:   p.scene,
		code:    p.cmd.ProcessState.ExitCode(),
		stdout:  p.output.Bytes(),
		stderr:  p.stderr.String(),
		elapsed: elapsed,
	}
	if p.trial.weigh {
		var user, system float64
		_, err := fmt.Sscan(string(p.readFile(p.weights)), &user, &system, &o.rss)
		p.must(err)
		o.cpu = user + system
	}
	if i := slices.Index(p.trial.under, "-o"); i >= 0 {
		trace, _ := os.ReadFile(p.trial.under[i+1])
		o.trace = testkit.WholeCalls(string(trace))
	}
	p.judge(o)
	return o
}

// judge compares an aftermath with what the trial demands.
func (p *running) judge(o *aftermath) {
	p.Helper()
	p.tally.add(codeName(o.code), 1)
	if !slices.Contains(p.trial.codes, o.code) {
		p.Errorf("exit status %d, want one of %d: %s", o.code, p.trial.codes, o.stderr)
	}
	p.judgeWords(o)
	p.judgeDirectories(o)
	p.judgeOutput(o)
	p.judgeForecast(o)
	if left := p.children(); len(left) > 0 {
		p.Errorf("processes are left: %v", left)
	}
	if p.Failed() {
		p.Logf("ran: %q", p.cmd.Args)
	}
}

// judgeWords wants one error line of a run that failed, and only then.
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

// judgeDirectories wants the source untouched, and nothing left behind.
func (p *running) judgeDirectories(o *aftermath) {
	p.Helper()
	if !p.trial.moves {
		p.before[0].MustMatch(p.T, p.source)
	}
	for i, dir := range []string{p.temp, p.out} {
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

// judgeOutput wants no stream out of a run that failed, and a whole one out of one that did not.
func (p *running) judgeOutput(o *aftermath) {
	p.Helper()
	if p.trial.stdout != nil || p.trial.spoils || p.trial.prints {
		return
	}
	switch {
	case o.code == 0 && slices.Contains(p.trial.args, "-") && slices.Contains([]string{"backup", "snapshot"}, p.trial.args[0]):
		if err := readStream(o.stdout, stream.ReaderOptions{Unproven: slices.Contains(p.trial.args, "--no-trailer")}); err != nil {
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

// children are the processes of the trial that still run.
func (p *running) children() []int {
	var pids []int
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		env, err := os.ReadFile("/proc/" + entry.Name() + "/environ")
		if err == nil && bytes.Contains(env, []byte(p.mark+"\x00")) {
			var pid int
			fmt.Sscan(entry.Name(), &pid)
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// pid waits for the program itself, which may run under another, and returns its process ID.
func (p *running) pid() int {
	p.Helper()
	found := 0
	p.await("the program runs", func() bool {
		for _, pid := range p.children() {
			if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && exe == p.program {
				found = pid
				return true
			}
		}
		return false
	})
	return found
}

// await waits for something that must come, while the program runs.
func (s *scene) await(what string, done func() bool) {
	s.Helper()
	for deadline := time.Now().Add(hangs); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatalf("waited in vain: %s", what)
		}
	}
}

// copying waits until the private copy is there, which is at the beginning of the page copy.
func (p *running) copying() (image string) {
	p.Helper()
	p.await("the copy begins", func() bool {
		found, _ := filepath.Glob(filepath.Join(p.temp, atomicfile.Prefix+"*", "image.db"))
		if len(found) > 0 {
			image = found[0]
		}
		return image != "" || p.over()
	})
	return image
}

// sending waits until the first bytes are in the pipe: the copy is checked and has lost its name.
func (p *running) sending() {
	p.Helper()
	p.await("something is sent", func() bool {
		n, err := unix.IoctlGetInt(int(p.pipe.Fd()), unix.TIOCINQ)
		return err != nil || n > 0 || p.over()
	})
}

// idle waits until the program does nothing more but wait for its reader.
func (p *running) idle() {
	p.Helper()
	p.sending()
	stat, last, same := fmt.Sprintf("/proc/%d/stat", p.pid()), "", 0
	p.await("it is idle", func() bool {
		data, _ := os.ReadFile(stat)
		fields := strings.Fields(string(data))
		if len(fields) < 15 {
			return true
		}
		spent := fields[13] + " " + fields[14]
		if same++; spent != last {
			last, same = spent, 0
		}
		time.Sleep(10 * time.Millisecond)
		return same > 50
	})
}

func (p *running) over() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	_, state, _ := bytes.Cut(stat, []byte(") "))
	return err != nil || len(state) > 0 && state[0] == 'Z'
}

func (p *running) signal(sig syscall.Signal) {
	p.Helper()
	p.must(syscall.Kill(p.pid(), sig))
}

// strace is a command that runs another one under strace with these options, stopped at no call but those looked for.
func (s *scene) strace(options ...string) []string {
	return s.straceAll(append(options, "--seccomp-bpf")...)
}

// killing is a command that kills another one at its Nth call. With --seccomp-bpf strace 6.1 would deliver the signal at the
// first one or never.
func (s *scene) killing(calls string, n int) []string {
	return s.straceAll("-e", "trace="+calls, "-e", fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", calls, n))
}

func (s *scene) straceAll(options ...string) []string {
	file := filepath.Join(s.root, fmt.Sprintf("trace.%d", s.traces.Add(1)))
	return slices.Concat([]string{harness.Tool(s.T, "strace"), "-f", "-qq", "-o", file}, options)
}

// slowly makes every read of path take so many milliseconds.
func (s *scene) slowly(path string, milliseconds int) []string {
	return s.strace("-P", path, "-e", "trace=pread64", "-e", fmt.Sprintf("inject=pread64:delay_enter=%d", milliseconds*1000))
}

// user is a command that runs another one as a user.
func (s *scene) user(uid int) []string {
	return []string{harness.Tool(s.T, "setpriv"), fmt.Sprintf("--reuid=%d", uid), fmt.Sprintf("--regid=%d", uid), "--clear-groups"}
}

// mounted is a command that runs another one in a mount namespace of its own, after the script.
func (s *scene) mounted(script string) []string {
	return []string{harness.Tool(s.T, "unshare"), "--mount", "sh", "-ec", script + "\nexec \"$@\"", "sh"}
}

// limited is a command that runs another one with a resource limit of prlimit.
func (s *scene) limited(limit string) []string { return []string{harness.Tool(s.T, "prlimit"), limit} }

// injected is how many system calls strace failed.
func (o *aftermath) injected() int { return strings.Count(o.trace, "(INJECTED)") }

// inside is a picture of what is in dir, which itself may change.
func (s *scene) inside(dir string) testkit.Picture {
	s.Helper()
	p := testkit.TakePicture(s.T, dir)
	delete(p, ".")
	return p
}

// withoutPrivate leaves out the program's private directories.
func withoutPrivate(p testkit.Picture) testkit.Picture {
	maps.DeleteFunc(p, func(name, _ string) bool { return strings.Contains("/"+name, "/"+atomicfile.Prefix) })
	return p
}

// left counts the private directories in the directories.
func (s *scene) left(dirs ...string) (n int) {
	s.Helper()
	for _, dir := range dirs {
		found, err := filepath.Glob(filepath.Join(dir, atomicfile.Prefix+"*"))
		s.must(err)
		n += len(found)
	}
	return n
}
