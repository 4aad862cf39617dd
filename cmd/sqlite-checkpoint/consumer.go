package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// Kinds of failure of a consumer.
const (
	kindNotFound      = "command_not_found"
	kindNotExecutable = "command_not_executable"
	kindCommandFailed = "command_failed"
	kindEndedEarly    = "command_ended_early"
)

// A consumer is CMD, under its guard. What is written to it CMD reads from its stdin, and CMD sees an end only if
// Finish was called. It is not safe for concurrent use.
type consumer struct {
	ctx     context.Context
	name    string
	timeout time.Duration
	guard   *exec.Cmd
	data    *os.File // the write end of CMD's stdin; the guard has another
	unread  *os.File // the read end, once all is written: to count what CMD has not read
	control *os.File // what we tell the guard; if we die, it is closed
	stop    func() bool
	ended   chan struct{}
	status  string // how it ended, as the guard says it; valid once ended is closed
	closed  bool
}

// piece is the most that is written between two looks at the time: as much as a pipe holds.
const piece = 64 << 10

// startConsumer starts the guard, which starts CMD.
func startConsumer(ctx context.Context, argv, env []string, grace, timeout time.Duration, con *console) (*consumer, error) {
	c := &consumer{ctx: ctx, name: argv[0], timeout: timeout, ended: make(chan struct{})}
	if err := c.spawn(argv, env, grace, con); err != nil {
		c.Close()
		return nil, &fault{kind: kindOther, err: fmt.Errorf("start the guard of %s: %w", c.name, err), hint: "pipe needs /proc and /dev/null"}
	}
	messages := bufio.NewScanner(c.control)
	messages.Scan()
	if word, number := split(messages.Text()); word != guardStarted {
		c.status = word
		close(c.ended)
		c.Close()
		if word != guardFailed {
			return nil, c.orphaned()
		}
		return nil, startFault(c.name, syscall.Errno(number))
	}
	go func() {
		messages.Scan()
		c.status = messages.Text()
		close(c.ended)
		c.data.SetWriteDeadline(time.Unix(1, 0))
	}()
	c.stop = context.AfterFunc(ctx, func() { c.data.SetWriteDeadline(time.Unix(1, 0)) })
	return c, nil
}

// split takes what the guard tells apart.
func split(message string) (word string, number int) {
	word, value, _ := strings.Cut(message, " ")
	number, _ = strconv.Atoi(value)
	return word, number
}

// spawn makes the two channels and starts the guard in a process group of its own, so that what is sent to ours does
// not reach it.
func (c *consumer) spawn(argv, env []string, grace time.Duration, con *console) error {
	// Should the guard be killed, CMD becomes our child, and what the guard had to do becomes our work.
	if err := adopt(); err != nil {
		return err
	}
	stdin, theirWrite, err := c.makePipe()
	if err != nil {
		return err
	}
	defer stdin.Close()
	defer theirWrite.Close()
	sockets, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	c.control = os.NewFile(uintptr(sockets[0]), "control")
	theirs := os.NewFile(uintptr(sockets[1]), "control")
	defer theirs.Close()
	guard := exec.Command("/proc/self/exe")
	guard.Args = append([]string{guardName, grace.String()}, argv...)
	guard.Env = append(slices.DeleteFunc(os.Environ(), isFact), env...)
	guard.Stdout, guard.Stderr = con.stdout, con.stderr
	guard.ExtraFiles = []*os.File{stdin, theirWrite, theirs}
	guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := guard.Start(); err != nil {
		return err
	}
	c.guard = guard
	return nil
}

// makePipe makes the pipe that is CMD's stdin. It keeps no read end: if CMD closes its stdin, a write has to fail.
func (c *consumer) makePipe() (stdin, theirWrite *os.File, err error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, err
	}
	stdin = os.NewFile(uintptr(pipe[0]), "pipe")
	second, err := unix.FcntlInt(uintptr(pipe[1]), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(pipe[1], true) // so that a write can be interrupted; the guard never writes
	}
	c.data = os.NewFile(uintptr(pipe[1]), "pipe")
	if err != nil {
		stdin.Close()
		return nil, nil, err
	}
	return stdin, os.NewFile(uintptr(second), "pipe"), nil
}

// Write gives CMD more of the stream.
func (c *consumer) Write(p []byte) (written int, err error) {
	for written < len(p) {
		if c.timeout > 0 {
			c.data.SetWriteDeadline(time.Now().Add(c.timeout))
		}
		if err := c.over(); err != nil { // after the deadline is set: both ends of the story move it to the past
			return written, err
		}
		before := unreadIn(c.data)
		n, err := c.data.Write(p[written:min(written+piece, len(p))])
		written += n
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			if err := c.over(); err != nil {
				return written, err
			}
			if unreadIn(c.data) == before+n {
				return written, c.stalled()
			}
		case errors.Is(err, syscall.EPIPE):
			return written, c.deaf()
		default:
			return written, err
		}
	}
	return written, nil
}

var errConsumerEnded = errors.New("CMD has ended")

// over tells why there is nothing more to be written, if so.
func (c *consumer) over() error {
	select {
	case <-c.ended:
		return errConsumerEnded
	default:
		return c.ctx.Err()
	}
}

// deaf waits for the end of CMD that has closed its stdin: how it ends is what its user wants to know.
func (c *consumer) deaf() error {
	var late <-chan time.Time
	if c.timeout > 0 {
		late = time.After(c.timeout)
	}
	select {
	case <-c.ended:
		return errConsumerEnded
	case <-c.ctx.Done():
		return c.ctx.Err()
	case <-late:
		return c.stalled()
	}
}

func (c *consumer) stalled() error { return fmt.Errorf("write to %s: %w", c.name, stream.ErrStalled) }

// Finish lets CMD see the end of its input and waits for its own.
func (c *consumer) Finish() (err error) {
	// A pipe can be opened again by its name: the only way to a read end that was not there before.
	c.unread, err = os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", descriptor(c.data)), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	c.data.Close()
	c.tell(guardDone)
	ticks := time.NewTicker(100 * time.Millisecond)
	defer ticks.Stop()
	left, since := unreadIn(c.unread), time.Now()
	for {
		select {
		case <-c.ended:
			return c.failure()
		case <-c.ctx.Done():
			c.tell(guardKill)
			return c.ctx.Err()
		case <-ticks.C:
			if now := unreadIn(c.unread); now != left {
				left, since = now, time.Now()
			}
			if c.timeout > 0 && left > 0 && time.Since(since) > c.timeout {
				c.tell(guardKill)
				return c.stalled()
			}
		}
	}
}

// unreadIn is how many bytes CMD could still read from the pipe.
func unreadIn(pipe *os.File) int {
	n, err := unix.IoctlGetInt(descriptor(pipe), unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return n
}

// blame tells what is behind err: the way in which CMD has ended, if it has ended by itself.
func (c *consumer) blame(err error) error {
	select {
	case <-c.ended:
		if ended := c.failure(); ended != nil {
			return ended
		}
	default:
	}
	return err
}

// failure tells what is wrong with the way in which CMD has ended, nil if nothing is.
func (c *consumer) failure() error {
	word, number := split(c.status)
	switch {
	case word == guardExited && number != 0:
		return &fault{kind: kindCommandFailed, code: number, err: fmt.Errorf("%s exited with status %d", c.name, number)}
	case word == guardSignalled:
		return &fault{kind: kindCommandFailed, code: exitSignal + number, err: fmt.Errorf("%s was ended by signal %d", c.name, number)}
	case word == guardStopped:
		return &fault{
			kind: kindCommandFailed, code: exitSignal + number, err: fmt.Errorf("%s wants to use the terminal, which it cannot here", c.name),
			hint: "let it take its password from a file, an agent or the environment",
		}
	case word != guardExited:
		return c.orphaned()
	case c.unread == nil || unreadIn(c.unread) > 0:
		return &fault{kind: kindEndedEarly, err: fmt.Errorf("%s ended, with status 0, before it had read all", c.name)}
	}
	return nil
}

func (c *consumer) orphaned() error {
	return &fault{kind: kindOther, err: fmt.Errorf("the guard of %s was killed", c.name)}
}

func (c *consumer) tell(word string) { fmt.Fprintln(c.control, word) }

// Close ends CMD if it has not ended, and only then lets go of the pipe. It is idempotent.
func (c *consumer) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	if c.guard != nil {
		unix.Shutdown(descriptor(c.control), unix.SHUT_WR)
		<-c.ended
		if c.status == "" { // somebody killed the guard
			c.inherit()
		}
		c.guard.Wait()
	}
	if c.stop != nil {
		c.stop()
	}
	for _, file := range []*os.File{c.data, c.unread, c.control} {
		if file != nil {
			file.Close()
		}
	}
	return nil
}

// inherit does what the guard, which is dead, cannot do: it ends CMD before the pipe is let go.
func (c *consumer) inherit() {
	complete := c.unread != nil
	extinguish(os.Getpid(), func(wait int) bool { return complete || abandoned(c.data, wait) })
}

// startFault is CMD that cannot be run, with the exit status that a shell would give.
func startFault(name string, err error) error {
	kind := kindNotExecutable
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		kind = kindNotFound
	}
	var lookup *exec.Error
	if errors.As(err, &lookup) {
		err = lookup.Err
	}
	return &fault{kind: kind, err: fmt.Errorf("start %s: %w", name, cause(err))}
}
