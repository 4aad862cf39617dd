package integration

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

// A process is a run of the program that is still going on.
type process struct {
	*bench
	cmd            *exec.Cmd
	in             io.WriteCloser
	stdout, stderr bytes.Buffer
	ended          chan struct{}
}

// start starts the program, with a stdin on which nothing arrives until somebody writes to it.
func (b *bench) start(args ...string) *process {
	b.Helper()
	return b.launch(b.command(args...))
}

// launch starts cmd. Its output is kept unless it goes somewhere already.
func (b *bench) launch(cmd *exec.Cmd) *process {
	b.Helper()
	p := &process{bench: b, cmd: cmd, ended: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = &p.stdout
	}
	cmd.Stderr = &p.stderr
	var err error
	p.in, err = cmd.StdinPipe()
	b.check(err)
	b.check(cmd.Start())
	go func() {
		defer close(p.ended)
		cmd.Wait()
	}()
	b.Cleanup(func() { cmd.Process.Kill(); <-p.ended })
	return p
}

// wait waits for its end.
func (p *process) wait() outcome {
	p.Helper()
	start := time.Now()
	<-p.ended
	o := outcome{TB: p.TB, command: strings.Join(p.cmd.Args, " "), code: status(p.cmd.ProcessState),
		stdout: p.stdout.String(), stderr: p.stderr.String(), took: time.Since(start)}
	o.checkLines()
	return o
}

func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

func (p *process) signal(s syscall.Signal) {
	p.Helper()
	p.check(p.cmd.Process.Signal(s))
}

// freeze stops the process where at is true, and tells whether it got it there.
func (p *process) freeze(at func(*process) bool) bool {
	p.Helper()
	for deadline := time.Now().Add(time.Minute); !at(p); time.Sleep(100 * time.Microsecond) {
		if p.over() || time.Now().After(deadline) {
			return false
		}
	}
	if p.cmd.Process.Signal(syscall.SIGSTOP) != nil {
		return false
	}
	for state := byte(0); state != 'T'; {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		if err != nil || p.over() {
			return false
		}
		state = stat[bytes.LastIndexByte(stat, ')')+2]
	}
	return at(p)
}

// private are the program's private directories, beside a destination and in the temp directory.
func (b *bench) private() (dirs []string) {
	for _, where := range []string{b.dir, b.temp} {
		found, err := filepath.Glob(filepath.Join(where, ".sqlite-checkpoint-*"))
		b.check(err)
		dirs = append(dirs, found...)
	}
	return dirs
}

// image is the private copy that the process is making, "" if there is none.
func (p *process) image() string {
	for _, dir := range p.private() {
		if path := filepath.Join(dir, "image.db"); size(path) >= 0 {
			return path
		}
	}
	return ""
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return -1
	}
	return info.Size()
}

// opened tells whether the process has a file of such a path open, for reading only if readOnly.
func (p *process) opened(such func(path string) bool, readOnly bool) bool {
	fds := fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid)
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
