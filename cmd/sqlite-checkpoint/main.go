// Command sqlite-checkpoint turns a live SQLite database into a verified stream for backup tools,
// and back into a database.
//
// The program is one path: a source is copied and checked (engine), framed and sent (stream), and
// reported (this package). Start reading at cli.go, which lists what it can do, and job.go, which
// does it.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/guard"
	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/suspend"
	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/view"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

func main() {
	switch os.Args[0] {
	case guard.Name:
		os.Exit(guard.Main(mountView))
	case view.ProbeName:
		os.Exit(view.ProbeMain())
	}
	os.Exit(besideSignals(func() int {
		catchPipe()
		code := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)
		bounded(stepLimit, atomicfile.RemoveAll) // of copies that were abandoned
		return code
	}))
}

// The main goroutine stays on the main thread.
func init() { runtime.LockOSThread() }

// besideSignals calls f on another thread. Linux hands a signal to the main thread if it can, even
// while that is in a system call that no handler interrupts, such as one on a FUSE file system that
// hangs: no other thread would then take it, and TERM would have no effect.
func besideSignals(f func() int) int {
	result := make(chan int)
	go func() { result <- f() }()
	return <-result
}

// catchPipe turns a write to a closed pipe into an error, so that the run can clean up. Programs
// that we start still get the default action, which they would not if the signal were ignored.
func catchPipe() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// run is the program without its process: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr *os.File) int {
	con := newConsole(stdout, stderr)
	con.suspension = suspend.Catch()
	ctx = interruptible(ctx, con)
	return con.finish(ctx, dispatch(ctx, con, args))
}

// An interruption is the cause of a context that a signal has canceled.
type interruption struct{ signal syscall.Signal }

func (i interruption) Error() string { return "interrupted by " + signalName(i.signal) }

func signalName(s syscall.Signal) string {
	switch s {
	case syscall.SIGINT:
		return "SIGINT"
	case syscall.SIGHUP:
		return "SIGHUP"
	case syscall.SIGQUIT:
		return "SIGQUIT"
	}
	return "SIGTERM"
}

// interruptible returns a context that INT, TERM, HUP or QUIT cancels, except HUP if the command
// takes it. The first signal asks for a clean end; con.abandon ends the process if that takes too
// long. A second INT, TERM or QUIT, no longer caught, ends the process at once; a second HUP does
// not: the kernel and the shell may each send one when a terminal is closed. An INT or a HUP that
// our parent had us ignore (nohup) stays ignored.
func interruptible(parent context.Context, con *console) context.Context {
	signals, hangups := make(chan os.Signal, 1), make(chan os.Signal, 1)
	var caught []os.Signal
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		if signal.Ignored(s) {
			continue
		}
		if s == syscall.SIGHUP {
			signal.Notify(hangups, s) // however many there are, the others must get through
		} else {
			signal.Notify(signals, s)
			caught = append(caught, s)
		}
	}
	ctx, cancel := context.WithCancelCause(parent)
	go func() {
		var first os.Signal
		for first == nil {
			select {
			case first = <-signals:
			case hangup := <-hangups:
				if !con.hangup() {
					first = hangup
				}
			}
		}
		signal.Reset(caught...)
		cancel(interruption{first.(syscall.Signal)})
		con.abandon(ctx)
	}()
	return ctx
}
