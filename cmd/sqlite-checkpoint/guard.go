package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// guardName is what this program is called when it is the guard of a consumer.
const guardName = "sqlite-checkpoint-guard"

// What the guard is told, one line each. If the channel ends before guardDone, the stream broke.
const (
	guardDone = "done" // all is in the pipe
	guardKill = "kill"
)

// What the guard tells, each followed by a number.
const (
	guardStarted   = "started"   // CMD's process ID
	guardFailed    = "failed"    // errno
	guardExited    = "exited"    // CMD's exit status
	guardSignalled = "signalled" // by which signal
	guardStopped   = "stopped"   // by which signal of the terminal
)

// A guard holds CMD's stdin open until the stream is complete, or CMD and all that it has started are dead: whatever
// becomes of the main process, nobody sees an end that is none.
type guard struct {
	pid     int      // of CMD
	write   *os.File // the write end of CMD's stdin, nil once the stream is complete
	control *os.File
	orders  chan string // what comes from there, closed at its end
	grace   time.Duration
	ended   chan struct{}
	status  unix.WaitStatus // valid once ended is closed
}

// guardMain is the guard's main function: os.Args are its name, the grace time, CMD and CMD's arguments, and descriptors 3
// to 5 are CMD's stdin, its write end, and the control channel.
func guardMain() int {
	// CMD dies with the thread that started it, should the guard be killed.
	runtime.LockOSThread()
	ignoreSignals()
	for fd := 3; fd <= 5; fd++ {
		unix.CloseOnExec(fd)
	}
	g := &guard{write: os.NewFile(4, "pipe"), control: os.NewFile(5, "control"), orders: make(chan string), ended: make(chan struct{})}
	if err := g.start(os.NewFile(3, "stdin"), os.Args[1], os.Args[2:]); err != nil {
		g.tell(guardFailed, int(errnoOf(err)))
		return 1
	}
	g.tell(guardStarted, g.pid)
	g.watch()
	return 0
}

// ignoreSignals leaves it to the main process what a signal means. CMD gets them as we got them: caught ones reset, and
// those that our parent had us ignore (nohup) still ignored.
func ignoreSignals() {
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE} {
		if !signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
}

func (g *guard) start(stdin *os.File, grace string, argv []string) (err error) {
	defer stdin.Close()
	if g.grace, err = time.ParseDuration(grace); err != nil {
		return err
	}
	if err := adopt(); err != nil {
		return err
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	g.pid = cmd.Process.Pid
	return nil
}

// watch waits for the end of the stream or of CMD.
func (g *guard) watch() {
	go g.listen()
	go g.wait()
	orders := g.orders
	for {
		select {
		case <-g.ended:
			if g.write != nil || g.status.Stopped() {
				extinguish(os.Getpid(), g.released) // what CMD leaves behind could take what comes next for the end
			}
			g.report()
			return
		case order, more := <-orders:
			switch {
			case order == guardDone:
				g.letGo()
			case more || g.write != nil:
				g.terminate()
				orders = nil
			default:
				orders = nil // the main process has gone, but CMD has all it needs
			}
		}
	}
}

// letGo shows CMD the end of its input.
func (g *guard) letGo() {
	g.write.Close()
	g.write = nil
}

// released tells whether nobody can take an end of the pipe for one that it is not: because there is no reader, or
// because the stream is complete. A reader that cannot be killed (of another user, by sudo) is waited for.
func (g *guard) released(wait int) bool {
	select {
	case order := <-g.orders:
		if order == guardDone {
			g.letGo()
		}
	default:
	}
	return g.write == nil || abandoned(g.write, wait)
}

// listen passes on the orders, and then the end of the channel.
func (g *guard) listen() {
	defer close(g.orders)
	for lines := bufio.NewScanner(g.control); lines.Scan(); {
		g.orders <- lines.Text()
	}
}

// wait follows CMD to its end. CMD is not in the terminal's foreground, so if it wants to ask there for a password,
// the terminal stops it: that is an end, too.
func (g *guard) wait() {
	defer close(g.ended)
	for {
		_, err := unix.Wait4(g.pid, &g.status, unix.WUNTRACED, nil)
		switch {
		case err == unix.EINTR:
		case err != nil, !g.status.Stopped(), g.status.StopSignal() == unix.SIGTTIN, g.status.StopSignal() == unix.SIGTTOU:
			return
		}
	}
}

// terminate ends CMD and all that it has started. CMD itself is asked first, so that it can release a lock or remove a
// file. Meanwhile the others stand still: were one of them ended, then who reads from that one would see an end.
func (g *guard) terminate() {
	freeze(os.Getpid())
	unix.Kill(g.pid, unix.SIGTERM)
	unix.Kill(g.pid, unix.SIGCONT)
	select {
	case <-g.ended:
	case <-time.After(g.grace):
	}
	extinguish(os.Getpid(), g.released)
	<-g.ended
}

func (g *guard) report() {
	switch {
	case g.status.Stopped():
		g.tell(guardStopped, int(g.status.StopSignal()))
	case g.status.Signaled():
		g.tell(guardSignalled, int(g.status.Signal()))
	default:
		g.tell(guardExited, g.status.ExitStatus())
	}
}

func (g *guard) tell(word string, number int) { fmt.Fprintln(g.control, word, number) }

func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	if errors.Is(err, exec.ErrNotFound) {
		return syscall.ENOENT
	}
	return syscall.EACCES
}
