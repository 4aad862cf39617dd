package guard

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Process is CMD under its guard. CMD sees the end of its input only if Finish is called. It is
// not safe for concurrent use.
type Process struct {
	ctx     context.Context
	name    string
	timeout time.Duration
	guard   *exec.Cmd
	stdin   *os.File // the write end of CMD's stdin, of which the guard has another; nil if CMD was given a file
	unread  *os.File // the read end, once all is written: to count what CMD has not read
	control *os.File // when it is closed, as by our death, the guard kills CMD
	unbind  func() bool
	exited  chan struct{}
	report  string // the guard's last; empty if it was killed; valid once exited is closed
	closed  bool
}

// Available fails where a guard cannot work. Linux has had subreapers since 3.4; emulators may not.
func Available() error {
	if err := becomeSubreaper(); err != nil {
		return fmt.Errorf("%w: prctl(PR_SET_CHILD_SUBREAPER): %w", ErrUnavailable, err)
	}
	return nil
}

// Start starts the guard, which starts CMD. If ctx is done, CMD is killed.
func Start(ctx context.Context, command Command) (*Process, error) {
	p := &Process{ctx: ctx, name: command.Argv[0], timeout: command.Timeout, exited: make(chan struct{})}
	if err := p.spawn(command); err != nil {
		p.Close()
		return nil, fmt.Errorf("start the guard of %s: %w", p.name, err)
	}
	p.unbind = context.AfterFunc(ctx, func() { p.order(orderKill); p.wake() })
	reports := bufio.NewScanner(p.control)
	reports.Scan()
	if p.report = reports.Text(); word(p.report) != reportStarted {
		close(p.exited)
		p.Close()
		return nil, p.startError()
	}
	go func() {
		reports.Scan()
		p.report = reports.Text()
		close(p.exited)
		p.wake()
	}()
	return p, nil
}

// wake ends a Write that waits for CMD.
func (p *Process) wake() {
	if p.stdin != nil {
		p.stdin.SetWriteDeadline(time.Unix(1, 0))
	}
}

func (p *Process) startError() error {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	_, value, _ := strings.Cut(p.report, " ")
	switch word(p.report) {
	case reportFailed:
		return &StartError{Name: p.name, Err: syscall.Errno(number(p.report))}
	case reportRefused:
		message, _ := strconv.Unquote(value)
		return &SetupError{Message: message}
	}
	return p.guardKilled()
}

func word(report string) string {
	w, _, _ := strings.Cut(report, " ")
	return w
}

func number(report string) int {
	_, value, _ := strings.Cut(report, " ")
	n, _ := strconv.Atoi(value)
	return n
}

// spawn makes the two channels and starts the guard in a process group of its own, so that what is
// sent to ours does not reach it.
func (p *Process) spawn(command Command) error {
	// If the guard is killed, CMD becomes our child, and we take over.
	if err := Available(); err != nil {
		return err
	}
	guard := exec.Command("/proc/self/exe")
	guard.Env, guard.Stdin, guard.Stdout, guard.Stderr = command.Env, command.Stdin, command.Stdout, command.Stderr
	guard.SysProcAttr = &syscall.SysProcAttr{}
	if command.Guard != nil {
		*guard.SysProcAttr = *command.Guard
	}
	guard.SysProcAttr.Setpgid = true
	sockets, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	p.control = os.NewFile(uintptr(sockets[0]), "control")
	guard.ExtraFiles = []*os.File{os.NewFile(uintptr(sockets[1]), "control")}
	defer func() {
		for _, file := range guard.ExtraFiles {
			file.Close()
		}
	}()
	if command.Stdin == nil {
		readEnd, theirs, err := p.makePipe()
		if err != nil {
			return err
		}
		defer readEnd.Close()
		guard.Stdin, guard.ExtraFiles = readEnd, append(guard.ExtraFiles, theirs)
	}
	return p.startGuard(guard, command)
}

func (p *Process) startGuard(guard *exec.Cmd, command Command) error {
	t := task{Grace: command.Grace, Pipe: command.Stdin == nil, Setup: -1}
	if command.Setup != nil {
		t.Setup = len(command.Setup)
	}
	order, err := json.Marshal(t)
	if err != nil {
		return err
	}
	guard.Args = append([]string{Name, string(order)}, command.Argv...)
	if err := guard.Start(); err != nil {
		return err
	}
	p.guard = guard
	p.control.Write(command.Setup) // a failure shows as the guard's report, or as its death
	return nil
}

// Finish lets CMD see EOF, if Write was its input, and waits for CMD to exit.
func (p *Process) Finish() error {
	left, since := 0, time.Now()
	if p.stdin != nil {
		if err := p.closeStdin(); err != nil {
			return err
		}
		left = unreadIn(p.unread)
	}
	ticks := time.NewTicker(100 * time.Millisecond)
	defer ticks.Stop()
	for {
		select {
		case <-p.exited:
			return p.exitError()
		case <-p.ctx.Done():
			p.order(orderKill) // Close may be faster than the function that ctx calls
			return p.ctx.Err()
		case <-ticks.C:
			if p.timeout == 0 || p.unread == nil {
				continue
			}
			if now := unreadIn(p.unread); now != left {
				left, since = now, time.Now()
			}
			if left > 0 && time.Since(since) > p.timeout {
				p.order(orderKill)
				return p.stalled()
			}
		}
	}
}

// Explain returns how CMD failed, if it did, instead of err, which is then a consequence.
func (p *Process) Explain(err error) error {
	select {
	case <-p.exited:
		if failed := p.exitError(); failed != nil {
			return failed
		}
	default:
	}
	return err
}

// exitError returns how CMD failed, nil if it succeeded.
func (p *Process) exitError() error {
	n := number(p.report)
	switch {
	case word(p.report) == reportSignalled:
		return &ExitError{Name: p.name, Status: 128 + n, Signal: syscall.Signal(n)}
	case word(p.report) != reportExited:
		return p.guardKilled()
	case n != 0:
		return &ExitError{Name: p.name, Status: n}
	case p.stdin != nil && (p.unread == nil || unreadIn(p.unread) > 0):
		return fmt.Errorf("%s %w", p.name, ErrEndedEarly)
	}
	return nil
}

func (p *Process) guardKilled() error { return fmt.Errorf("%s: %w", p.name, ErrGuardKilled) }

func (p *Process) order(word string) { fmt.Fprintln(p.control, word) }

// Close kills CMD if it has not exited, and only then closes the pipe. It is idempotent.
func (p *Process) Close() error {
	if p.closed {
		return nil
	}
	p.closed = true
	if p.unbind != nil {
		p.unbind()
	}
	if p.guard != nil {
		unix.Shutdown(descriptor(p.control), unix.SHUT_WR)
		<-p.exited
		p.guard.Wait()
		if p.report == "" {
			p.takeOver()
		}
	}
	for _, file := range []*os.File{p.stdin, p.unread, p.control} {
		if file != nil {
			file.Close()
		}
	}
	return nil
}

// takeOver does the work of a guard that was killed: it kills CMD before the pipe is closed.
func (p *Process) takeOver() {
	killTree(os.Getpid(), func(wait time.Duration) bool {
		switch {
		case p.unread != nil:
			return true // the stream is complete
		case p.stdin != nil:
			return hasNoReader(p.stdin, wait)
		}
		reapChildren()
		return hasNoDescendants(wait)
	})
	reapChildren()
}

// reapChildren waits for children of this process that have exited already.
func reapChildren() {
	for _, c := range descendants(os.Getpid()) {
		if c.parent == os.Getpid() {
			unix.Wait4(c.pid, nil, unix.WNOHANG, nil)
		}
	}
}

func signalName(s syscall.Signal) string { return unix.SignalName(s) }
