package harness

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A Process is a run of the program that is still going on.
type Process struct {
	*Bench
	Cmd            *exec.Cmd
	In             io.WriteCloser
	Stdout, Stderr bytes.Buffer
	Ended          chan struct{}
}

// Start starts the program, with a pipe as its stdin.
func (b *Bench) Start(args ...string) *Process {
	b.Helper()
	return b.Launch(b.Command(args...))
}

// Launch starts cmd. Its output is kept unless it goes somewhere already.
func (b *Bench) Launch(cmd *exec.Cmd) *Process {
	b.Helper()
	p := &Process{Bench: b, Cmd: cmd, Ended: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = &p.Stdout
	}
	cmd.Stderr = &p.Stderr
	var err error
	if cmd.Stdin == nil {
		p.In, err = cmd.StdinPipe()
		b.Check(err)
	}
	b.Check(cmd.Start())
	go func() {
		defer close(p.Ended)
		cmd.Wait()
	}()
	b.Cleanup(func() { cmd.Process.Kill(); <-p.Ended })
	return p
}

// Wait waits for it to end.
func (p *Process) Wait() Outcome {
	p.Helper()
	start := time.Now()
	<-p.Ended
	o := Outcome{TB: p.TB, Command: strings.Join(p.Cmd.Args, " "), Code: Status(p.Cmd.ProcessState),
		Stdout: p.Stdout.String(), Stderr: p.Stderr.String(), Took: time.Since(start)}
	p.checkLines(p.Cmd, o)
	return o
}

func (p *Process) Over() bool {
	select {
	case <-p.Ended:
		return true
	default:
		return false
	}
}

func (p *Process) Signal(s syscall.Signal) {
	p.Helper()
	p.Check(p.Cmd.Process.Signal(s))
}

// Freeze stops the process as soon as at is true, and reports whether that is still so when it has
// stopped.
func (p *Process) Freeze(at func(*Process) bool) bool {
	p.Helper()
	for deadline := time.Now().Add(time.Minute); !at(p); time.Sleep(100 * time.Microsecond) {
		if p.Over() || time.Now().After(deadline) {
			return false
		}
	}
	if p.Cmd.Process.Signal(syscall.SIGSTOP) != nil {
		return false
	}
	for state := byte(0); state != 'T'; {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Cmd.Process.Pid))
		if err != nil || p.Over() {
			return false
		}
		state = stat[bytes.LastIndexByte(stat, ')')+2]
	}
	return at(p)
}

// Private returns the program's private directories, beside a destination and in the temp
// directory.
func (b *Bench) Private() (dirs []string) {
	for _, where := range []string{b.Dir, b.Temp} {
		found, err := filepath.Glob(filepath.Join(where, ".sqlite-checkpoint-*"))
		b.Check(err)
		dirs = append(dirs, found...)
	}
	return dirs
}

// Image returns the path of the private copy that the process is making, or "".
func (p *Process) Image() string {
	for _, dir := range p.Private() {
		if path := filepath.Join(dir, "image.db"); Size(path) >= 0 {
			return path
		}
	}
	return ""
}

func Size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return -1
	}
	return info.Size()
}

// Opened reports whether the process has a file with such a path open, for reading only if
// readOnly.
func (p *Process) Opened(such func(path string) bool, readOnly bool) bool {
	fds := fmt.Sprintf("/proc/%d/fd", p.Cmd.Process.Pid)
	entries, _ := os.ReadDir(fds)
	for _, entry := range entries {
		fd := filepath.Join(fds, entry.Name())
		target, _ := os.Readlink(fd)
		info, err := os.Lstat(fd)
		if err == nil && such(target) && (!readOnly || info.Mode()&0o200 == 0) {
			return true
		}
	}
	return false
}
