// Command sqlite-checkpoint turns a live SQLite database into a verified stream that backup tools
// can swallow, and back into a database.
//
// The program is one path: a source is copied and checked (engine), framed and sent (stream), and
// reported (this package). Start reading at cli.go, which says what it can do, and job.go, which
// does it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/guard"
	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/suspend"
	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/view"
)

func main() {
	switch os.Args[0] {
	case guard.Name:
		os.Exit(guard.Main(mountView))
	case view.ProbeName:
		os.Exit(view.ProbeMain())
	}
	catchPipe()
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// catchPipe makes a write to a closed pipe an error that is cleaned up after, instead of a silent
// death. Catching leaves the signal as it was for programs that we start; ignoring would not.
func catchPipe() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// run is the program without its process: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr *os.File) int {
	con := newConsole(stdout, stderr)
	con.suspension = suspend.Catch()
	ctx = interruptible(ctx, con.abandon)
	return con.finish(ctx, dispatch(ctx, con, args))
}

// An interruption is the cause of a context that a signal has ended.
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

// interruptible gives a context that INT, TERM, HUP or QUIT ends. The first signal asks for a clean
// end, and hands the context to abandon in case there is none; a second one, no longer caught, ends
// the process at once. Signals that our parent had us ignore (nohup) stay ignored.
func interruptible(parent context.Context, abandon func(context.Context)) context.Context {
	var caught []os.Signal
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		if !signal.Ignored(s) {
			caught = append(caught, s)
		}
	}
	if len(caught) == 0 {
		return parent
	}
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, caught...)
	go func() {
		first := <-signals
		signal.Reset(caught...)
		cancel(interruption{first.(syscall.Signal)})
		abandon(ctx)
	}()
	return ctx
}
