package guard

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Descriptors of the guard besides stdin (CMD's), stdout and stderr.
const (
	controlFD = 3 // a socket to the caller
	pipeFD    = 4 // the write end of CMD's stdin, if that is a pipe of ours
)

// The caller's orders, one a line. A control channel that ends means the same as orderKill, unless
// all input is there.
const (
	orderEOF  = "eof" // all input is in the pipe: let CMD see its end
	orderKill = "kill"
)

// What the guard reports, one a line, each followed by a value.
const (
	reportStarted   = "started"   // CMD's process ID
	reportFailed    = "failed"    // errno: CMD could not be started
	reportRefused   = "refused"   // quoted: what the setup function returned
	reportExited    = "exited"    // CMD's exit status
	reportSignalled = "signalled" // the signal that killed CMD
)

// A task is what the caller tells the guard besides CMD's arguments.
type task struct {
	Grace time.Duration
	Pipe  bool // CMD's stdin is a pipe, and we have its write end
	Setup int  // bytes of setup data at the start of the control channel; -1 for no setup
}

// A guard holds CMD's stdin open until the input is complete, or CMD and everything it has started
// are dead: no process sees a premature EOF, even if the caller is killed.
type guard struct {
	task
	cmd      *exec.Cmd
	control  *os.File
	orders   chan string // from the control channel; closed at its end
	pipe     *os.File    // the write end of CMD's stdin; nil once CMD may see EOF, or if it is not ours
	complete bool        // CMD has all its input
	exited   chan struct{}
	status   unix.WaitStatus // valid once exited is closed
}

// Main is the main function of the guard process. setup is called with Command.Setup, where that is
// not nil, on the operating system thread that starts CMD: CMD inherits what setup changes there,
// such as a mount namespace.
func Main(setup func(data []byte) error) int {
	// CMD is killed when the thread that started it ends, and so also when the guard is killed.
	runtime.LockOSThread()
	ignoreSignals()
	unix.CloseOnExec(controlFD)
	g := &guard{control: os.NewFile(controlFD, "control"), orders: make(chan string), exited: make(chan struct{})}
	if err := json.Unmarshal([]byte(os.Args[1]), &g.task); err != nil {
		return 1
	}
	if g.Pipe {
		unix.CloseOnExec(pipeFD)
		g.pipe = os.NewFile(pipeFD, "pipe")
	}
	if err := g.prepare(setup); err != nil {
		g.report(reportRefused, strconv.Quote(err.Error()))
		return 1
	}
	if err := g.start(os.Args[2:]); err != nil {
		g.report(reportFailed, int(errnoOf(err)))
		return 1
	}
	g.report(reportStarted, g.cmd.Process.Pid)
	g.watch()
	return 0
}

// ignoreSignals leaves the response to signals to the caller. CMD inherits the dispositions that we
// inherited: exec resets caught signals, and those that our parent ignores (nohup) stay ignored.
func ignoreSignals() {
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE} {
		if !signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
}

// prepare runs the setup function, and fails if the caller has canceled meanwhile.
func (g *guard) prepare(setup func([]byte) error) error {
	if err := g.runSetup(setup); err != nil {
		return err
	}
	poll := []unix.PollFd{{Fd: controlFD, Events: unix.POLLIN}}
	if n, _ := unix.Poll(poll, 0); n > 0 {
		return errors.New("interrupted")
	}
	return nil
}

func (g *guard) runSetup(setup func([]byte) error) error {
	if g.Setup < 0 {
		return nil
	}
	data := make([]byte, g.Setup)
	if _, err := io.ReadFull(g.control, data); err != nil {
		return err
	}
	if setup == nil {
		return errors.New("this program has no setup function")
	}
	return setup(data)
}

func (g *guard) start(argv []string) error {
	if err := becomeSubreaper(); err != nil {
		return err
	}
	g.cmd = exec.Command(argv[0], argv[1:]...)
	g.cmd.Stdin, g.cmd.Stdout, g.cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	err := g.cmd.Start()
	os.Stdin.Close() // the pipe has to have no reader but CMD
	return err
}

// watch returns when CMD has exited and has been reported.
func (g *guard) watch() {
	go g.listen()
	go g.reap()
	orders := g.orders
	for {
		select {
		case <-g.exited:
			if !g.complete {
				killTree(os.Getpid(), g.nothingLeft) // else a child of CMD would see EOF when the guard exits
			}
			g.reportExit()
			return
		case order, more := <-orders:
			switch {
			case order == orderEOF:
				g.closePipe()
			case more || !g.complete:
				g.terminate()
				orders = nil
			default:
				orders = nil // the caller has exited, but CMD has all it needs
			}
		}
	}
}

// closePipe lets CMD see EOF.
func (g *guard) closePipe() {
	g.pipe.Close()
	g.pipe, g.complete = nil, true
}

// nothingLeft reports whether no process can take a broken stream for a whole one: the pipe has no
// reader left, or the stream is complete. It waits for a reader that cannot be killed, such as one
// of another user.
func (g *guard) nothingLeft(wait time.Duration) bool {
	select {
	case order := <-g.orders:
		if order == orderEOF {
			g.closePipe()
		}
	default:
	}
	switch {
	case g.complete:
		return true
	case g.pipe != nil:
		return hasNoReader(g.pipe, wait)
	}
	return hasNoDescendants(wait)
}

// hasNoDescendants reports whether this process has none, and gives them some time to exit.
func hasNoDescendants(wait time.Duration) bool {
	if len(descendants(os.Getpid())) == 0 {
		return true
	}
	time.Sleep(wait)
	return len(descendants(os.Getpid())) == 0
}

// listen passes on the caller's orders until the control channel ends.
func (g *guard) listen() {
	defer close(g.orders)
	for lines := bufio.NewScanner(g.control); lines.Scan(); {
		g.orders <- lines.Text()
	}
}

// reap waits for every child: CMD, and its orphans, which the kernel gives to us.
func (g *guard) reap() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return // there is no child left, nor can there be another
		case pid == g.cmd.Process.Pid:
			g.status = status
			close(g.exited)
		}
	}
}

// terminate ends CMD and everything it has started. CMD is sent SIGTERM first, so that it can
// release a lock or remove a file. Meanwhile its descendants stay stopped: a reader of one that
// exited would see EOF.
func (g *guard) terminate() {
	closeAll(stopTree(os.Getpid()))
	g.cmd.Process.Signal(unix.SIGTERM)
	g.cmd.Process.Signal(unix.SIGCONT)
	select {
	case <-g.exited:
	case <-time.After(g.Grace):
	}
	killTree(os.Getpid(), g.nothingLeft)
	<-g.exited
}

func (g *guard) reportExit() {
	if g.status.Signaled() {
		g.report(reportSignalled, int(g.status.Signal()))
		return
	}
	g.report(reportExited, g.status.ExitStatus())
}

func (g *guard) report(word string, value any) { fmt.Fprintln(g.control, word, value) }

func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		return errno
	case errors.Is(err, exec.ErrNotFound):
		return syscall.ENOENT
	}
	return syscall.EACCES
}
