package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// spliceCommand is the argument with which bench starts itself as a task that has the kernel send a
// file to standard output, a pipe that it enlarges first.
const spliceCommand = "splice"

func splice(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := unix.FcntlInt(1, unix.F_SETPIPE_SZ, 1<<20); err != nil {
		return err
	}
	for {
		n, err := unix.Splice(int(f.Fd()), nil, 1, nil, 1<<30, 0)
		if err != nil && err != unix.EINTR || n == 0 {
			return err
		}
	}
}

// sending measures the CPU time that the program needs to send a stream, once everything else is
// done.
func (b *bench) sending(db string, size int64) error {
	const limit = 0.05
	f := figure{What: "raw snapshot, CPU of sending, s a GB"}
	if large.contain(size) {
		f.Limit = limit
	}
	for range b.rounds {
		if err := warm(db); err != nil {
			return err
		}
		used, sent, err := sendingCPU(b.program, "backup", "-q", "--check", "none", db, "-")
		if err != nil {
			return err
		}
		f.Values = append(f.Values, used.Seconds()*1e9/float64(sent))
	}
	return b.out.put(size, "sending", f)
}

// sendingCPU runs a program and reads its output only once it does nothing but wait for its reader.
func sendingCPU(argv ...string) (used time.Duration, sent int64, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, 0, err
	}
	defer r.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = w, os.Stderr
	if err := cmd.Start(); err != nil {
		return 0, 0, errors.Join(err, w.Close())
	}
	w.Close()
	before, err := idle(cmd.Process.Pid)
	if err != nil {
		return 0, 0, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	var after time.Duration
	for buffer := make([]byte, 128<<10); ; {
		n, err := r.Read(buffer)
		sent += int64(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, 0, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
		}
		// Not after the trailer: the process then exits, and frees its memory and the copy.
		if now, err := cpuOf(cmd.Process.Pid); err == nil && n >= 4096 {
			after = now
		}
	}
	return after - before, sent, cmd.Wait()
}

// idle waits until the process has used no CPU for a while, and returns the CPU time that it has
// used.
func idle(pid int) (time.Duration, error) {
	const while = 300 * time.Millisecond
	for last := time.Duration(-1); ; time.Sleep(while) {
		now, err := cpuOf(pid)
		if err != nil {
			return 0, err
		}
		if last > 0 && now-last < time.Millisecond {
			return now, nil
		}
		last = now
	}
}

// cpuOf returns the CPU time of a process, from its CPU clock.
func cpuOf(pid int) (time.Duration, error) {
	clock := int32(^pid)<<3 | 2 // clock_getcpuclockid(3): of all threads, by the scheduler
	var t unix.Timespec
	_, _, errno := syscall.Syscall(unix.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&t)), 0)
	if errno != 0 {
		return 0, fmt.Errorf("the CPU clock of process %d: %w", pid, errno)
	}
	return time.Duration(t.Nano()), nil
}
