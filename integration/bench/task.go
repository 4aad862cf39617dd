package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// A task is something to time.
type task struct {
	name  string
	run   func() (outcome, error)
	makes string // a file to remove afterwards
}

// An outcome is what was measured of one run of a task.
type outcome struct {
	took   time.Duration
	cpu    time.Duration // of all its processes
	output int64         // bytes
	stolen float64       // the part of the CPU time that the host took away
}

// perform runs a task, and again if the host has disturbed it.
func (t task) perform(inputs ...string) (outcome, error) {
	o, stolen, err := leftAlone(func() (outcome, error) { return t.once(inputs...) })
	o.stolen = stolen
	return o, err
}

// once runs a task from the same state as all others: its inputs in the page cache, no dirty pages.
func (t task) once(inputs ...string) (outcome, error) {
	if err := warm(inputs...); err != nil {
		return outcome{}, err
	}
	syscall.Sync()
	begin := time.Now()
	o, err := t.run()
	o.took = time.Since(begin)
	if err != nil {
		return outcome{}, fmt.Errorf("%s: %w", t.name, err)
	}
	if t.makes != "" {
		err = os.Remove(t.makes)
	}
	return o, err
}

// warm reads files so that they are in the page cache.
func warm(names ...string) error {
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, struct{ io.Reader }{f})
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// command returns a function that runs a program, and reads and counts its output as cat >/dev/null
// would.
func command(argv ...string) func() (outcome, error) {
	return func() (outcome, error) {
		p, err := start(argv...)
		if err != nil {
			return outcome{}, err
		}
		return p.wait()
	}
}

// A process is a running program with a consumer of its output.
type process struct {
	cmd      *exec.Cmd
	said     bytes.Buffer
	consumed chan int64
}

func start(argv ...string) (*process, error) {
	p := &process{cmd: exec.Command(argv[0], argv[1:]...), consumed: make(chan int64, 1)}
	// Blocking descriptors, so that the consumer costs what cat costs.
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC); err != nil {
		return nil, err
	}
	stdout := os.NewFile(uintptr(fds[1]), "pipe")
	defer stdout.Close()
	p.cmd.Stdout, p.cmd.Stderr = stdout, &p.said
	if err := p.cmd.Start(); err != nil {
		syscall.Close(fds[0])
		return nil, err
	}
	go p.consume(fds[0])
	return p, nil
}

func (p *process) consume(fd int) {
	defer syscall.Close(fd)
	buffer := make([]byte, 128<<10)
	var total int64
	for {
		n, err := syscall.Read(fd, buffer)
		if err == syscall.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			p.consumed <- total
			return
		}
		total += int64(n)
	}
}

// wait waits for the process and for the end of its output. The outcome lacks the wall time.
func (p *process) wait() (outcome, error) {
	output := <-p.consumed
	if err := p.cmd.Wait(); err != nil {
		return outcome{}, fmt.Errorf("%w\n%s", err, p.said.Bytes())
	}
	used := p.cmd.ProcessState
	return outcome{output: output, cpu: used.UserTime() + used.SystemTime()}, nil
}

// hash returns a function that computes a SHA-256 as a Go program does.
func hash(name string) func() (outcome, error) {
	return func() (outcome, error) {
		f, err := os.Open(name)
		if err != nil {
			return outcome{}, err
		}
		defer f.Close()
		begin := ownCPU()
		_, err = io.CopyBuffer(struct{ io.Writer }{sha256.New()}, struct{ io.Reader }{f}, make([]byte, 1<<20))
		return outcome{cpu: ownCPU() - begin}, err
	}
}

// ownCPU returns the CPU time that this process has used so far.
func ownCPU() time.Duration {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
