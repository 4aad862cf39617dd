package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
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
	unread  *os.File // the read end, to count what CMD has not read
	control *os.File // what we tell the guard; if we die, it is closed
	pid     int      // of CMD, which leads its process group
	stop    func() bool
	ended   chan struct{}
	status  string // how it ended, as the guard says it; valid once ended is closed
	done    bool   // all is written
	closed  bool
}

// piece is the most that is written between two looks at the time: as much as a pipe holds.
const piece = 64 << 10

// startConsumer starts the guard, which starts CMD.
func startConsumer(ctx context.Context, argv, env []string, grace, timeout time.Duration, con *console) (*consumer, error) {
	c := &consumer{ctx: ctx, name: argv[0], timeout: timeout, ended: make(chan struct{})}
	ours, err := c.spawn(argv, env, grace, con)
	if err != nil {
		c.Close()
		return nil, &fault{kind: kindOther, err: fmt.Errorf("start %s: %w", c.name, err)}
	}
	messages := bufio.NewScanner(ours)
	messages.Scan()
	word, value, _ := strings.Cut(messages.Text(), " ")
	number, _ := strconv.Atoi(value)
	if word != guardStarted {
		close(c.ended)
		c.Close()
		return nil, startFault(c.name, syscall.Errno(number))
	}
	c.pid = number
	go func() {
		messages.Scan()
		c.status = messages.Text()
		close(c.ended)
		c.data.SetWriteDeadline(time.Unix(1, 0))
	}()
	c.stop = context.AfterFunc(ctx, func() { c.data.SetWriteDeadline(time.Unix(1, 0)) })
	return c, nil
}

// spawn makes the two channels and starts the guard in a process group of its own, so that what is sent to ours does
// not reach it. It returns our end of the control channel.
func (c *consumer) spawn(argv, env []string, grace time.Duration, con *console) (*os.File, error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return nil, err
	}
	c.unread = os.NewFile(uintptr(pipe[0]), "pipe")
	theirData, err := unix.FcntlInt(uintptr(pipe[1]), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	theirWrite := os.NewFile(uintptr(theirData), "pipe")
	defer theirWrite.Close()
	if err := unix.SetNonblock(pipe[1], true); err != nil { // so that a write can be interrupted; nobody else writes
		return nil, err
	}
	c.data = os.NewFile(uintptr(pipe[1]), "pipe")
	sockets, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	c.control = os.NewFile(uintptr(sockets[0]), "control")
	theirs := os.NewFile(uintptr(sockets[1]), "control")
	defer theirs.Close()
	c.guard = exec.Command("/proc/self/exe")
	c.guard.Args = append([]string{guardName, grace.String()}, argv...)
	c.guard.Env = append(os.Environ(), env...)
	c.guard.Stdout, c.guard.Stderr = con.stdout, con.stderr
	c.guard.ExtraFiles = []*os.File{c.unread, theirWrite, theirs}
	c.guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return c.control, c.guard.Start()
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
		n, err := c.data.Write(p[written:min(written+piece, len(p))])
		written += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if err = c.over(); err == nil {
				err = stream.ErrStalled
			}
		}
		if err != nil {
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

// Finish lets CMD see the end of its input and waits for its own.
func (c *consumer) Finish() error {
	c.done = true
	c.data.Close()
	c.tell(guardDone)
	ticks := time.NewTicker(100 * time.Millisecond)
	defer ticks.Stop()
	left, since := c.waiting(), time.Now()
	for {
		select {
		case <-c.ended:
			return c.failure()
		case <-c.ctx.Done():
			c.tell(guardKill)
			return c.ctx.Err()
		case <-ticks.C:
			now := c.waiting()
			if now != left {
				left, since = now, time.Now()
			}
			if c.timeout > 0 && left > 0 && time.Since(since) > c.timeout {
				c.tell(guardKill)
				return stream.ErrStalled
			}
		}
	}
}

// waiting is how many bytes CMD could still read.
func (c *consumer) waiting() int {
	n, err := unix.IoctlGetInt(descriptor(c.unread), unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return n
}

// failure tells what is wrong with the way in which CMD has ended, nil if nothing is or it has not.
func (c *consumer) failure() error {
	select {
	case <-c.ended:
	default:
		return nil
	}
	word, value, _ := strings.Cut(c.status, " ")
	number, _ := strconv.Atoi(value)
	switch {
	case word == guardExited && number != 0:
		return &fault{kind: kindCommandFailed, code: number, err: fmt.Errorf("%s exited with status %d", c.name, number)}
	case word == guardSignalled:
		return &fault{kind: kindCommandFailed, code: exitSignal + number, err: fmt.Errorf("%s was ended by signal %d", c.name, number)}
	case word != guardExited:
		return &fault{kind: kindOther, err: fmt.Errorf("the guard of %s was killed", c.name)}
	case !c.done || c.waiting() > 0:
		return &fault{kind: kindEndedEarly, err: fmt.Errorf("%s ended, with status 0, before it had read all", c.name)}
	}
	return nil
}

func (c *consumer) tell(word string) { fmt.Fprintln(c.control, word) }

// Close ends CMD if it has not ended, and only then lets go of the pipe. It is idempotent.
func (c *consumer) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	if c.guard != nil && c.guard.Process != nil {
		unix.Shutdown(descriptor(c.control), unix.SHUT_WR)
		<-c.ended
		c.guard.Wait()
		if c.status == "" && c.pid > 0 { // somebody killed the guard
			unix.Kill(-c.pid, unix.SIGKILL)
		}
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
