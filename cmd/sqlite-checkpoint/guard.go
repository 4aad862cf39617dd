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

// What the guard is told, one line each. The end of the channel without a line means that the stream broke.
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
)

// A guard holds CMD's stdin open until the stream is complete, or CMD is dead: whatever becomes of the main process,
// CMD never sees an end that is none.
type guard struct {
	cmd     *exec.Cmd
	write   *os.File // the write end of CMD's stdin
	control *os.File
	grace   time.Duration
	ended   chan struct{}
}

// guardMain is the guard's main function: os.Args are its name, the grace time, CMD and CMD's arguments, and descriptors 3
// to 5 are CMD's stdin, its write end, and the control channel.
func guardMain() int {
	// CMD dies with the thread that started it, should the guard be killed.
	runtime.LockOSThread()
	// It is for the main process to decide what a signal means.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	for fd := 3; fd <= 5; fd++ {
		unix.CloseOnExec(fd)
	}
	stdin := os.NewFile(3, "stdin")
	g := &guard{write: os.NewFile(4, "pipe"), control: os.NewFile(5, "control"), ended: make(chan struct{})}
	g.grace, _ = time.ParseDuration(os.Args[1])
	g.cmd = exec.Command(os.Args[2], os.Args[3:]...)
	g.cmd.Stdin, g.cmd.Stdout, g.cmd.Stderr = stdin, os.Stdout, os.Stderr
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := g.cmd.Start(); err != nil {
		g.tell(guardFailed, int(errnoOf(err)))
		return 1
	}
	stdin.Close()
	g.tell(guardStarted, g.cmd.Process.Pid)
	g.watch()
	return 0
}

// watch waits for the end of the stream or of CMD.
func (g *guard) watch() {
	orders := make(chan string)
	go g.listen(orders)
	go func() {
		g.cmd.Wait()
		close(g.ended)
	}()
	done := false
	for {
		select {
		case <-g.ended:
			if !done {
				g.signal(syscall.SIGKILL) // children that it left could take what comes next for the end
			}
			g.write.Close()
			g.report()
			return
		case order, more := <-orders:
			switch {
			case order == guardDone:
				done = true
				g.write.Close()
			case more || !done:
				g.terminate()
				orders = nil
			default:
				orders = nil // the main process has gone, but CMD has all it needs
			}
		}
	}
}

// listen passes on the orders, and then the end of the channel.
func (g *guard) listen(orders chan<- string) {
	defer close(orders)
	for lines := bufio.NewScanner(g.control); lines.Scan(); {
		orders <- lines.Text()
	}
}

// terminate ends CMD's process group: asked first, killed after the grace time.
func (g *guard) terminate() {
	g.signal(syscall.SIGTERM)
	for deadline := time.Now().Add(g.grace); time.Now().Before(deadline) && g.alive(); {
		time.Sleep(5 * time.Millisecond)
	}
	g.signal(syscall.SIGKILL)
	<-g.ended
}

// alive tells whether anybody is left in CMD's process group.
func (g *guard) alive() bool { return unix.Kill(-g.cmd.Process.Pid, 0) == nil }

func (g *guard) signal(s syscall.Signal) { unix.Kill(-g.cmd.Process.Pid, s) }

func (g *guard) report() {
	state, ok := g.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && state.Signaled() {
		g.tell(guardSignalled, int(state.Signal()))
		return
	}
	g.tell(guardExited, g.cmd.ProcessState.ExitCode())
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
