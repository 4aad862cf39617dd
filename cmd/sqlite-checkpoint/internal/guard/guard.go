// Package guard runs a program, CMD, that never outlives its caller and never sees a premature EOF.
//
// CMD is the child of a small process, the guard: the caller's own binary, started again. If the
// caller exits before CMD has finished, for whatever reason (SIGKILL and the OOM killer included),
// the guard kills CMD and everything CMD has started. Where the caller feeds CMD's stdin, the guard
// holds the write end of that pipe until the stream is complete or CMD is dead: a consumer that
// commits its input at EOF never commits half of it. All processes are stopped before the first is
// killed, and children die before their parents, so that none sees the EOF of another one's pipe.
//
// If the guard itself is killed, its caller takes over. If both are killed at the same instant, the
// kernel kills CMD (PR_SET_PDEATHSIG) as the pipe closes: that is a race, which CMD can win, and
// nobody kills what CMD has started. To kill a whole cgroup is no such case.
//
// CMD runs in a session of its own: no signal of the terminal reaches it, and it has no controlling
// terminal, but it may write to the terminal, and may read from it if that is its stdin.
//
// A program that uses the package calls Main, at the very start, if os.Args[0] is Name. It can have
// one Process at a time. Linux only: elsewhere Start fails with ErrUnavailable.
package guard

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// Name is os.Args[0] of a guard process: a program that finds it there must call Main and exit with
// the status that it returns. It does not contain the caller's name: pkill -9 -f with that name
// leaves the guard to do its work.
const Name = "command-guard"

// A Command says what to run, and how.
type Command struct {
	// Argv is CMD and its arguments.
	Argv []string
	// Env is CMD's environment; nil means the caller's.
	Env []string
	// Stdin is CMD's stdin. Nil means a pipe that Write fills: then CMD must read all of it to
	// succeed. Otherwise Write must not be called, and what CMD leaves behind when it exits is
	// killed.
	Stdin *os.File
	// Stdout and Stderr are CMD's; nil means /dev/null.
	Stdout, Stderr *os.File
	// Grace is how long CMD may take to exit after SIGTERM before it is killed.
	Grace time.Duration
	// Timeout is the longest time that CMD may take no input while there is some; 0 means forever.
	Timeout time.Duration
	// Setup, if not nil, is passed to the setup function given to Main, in the guard process,
	// before CMD starts.
	Setup []byte
	// Guard are attributes of the guard process, such as new namespaces; nil means none.
	Guard *syscall.SysProcAttr
}

var (
	// ErrEndedEarly means that CMD succeeded without having read its whole input.
	ErrEndedEarly = errors.New("exited with status 0 before reading the whole stream")
	// ErrStalled means that CMD took no input for Command.Timeout.
	ErrStalled = errors.New("no progress: it does not read its stdin")
	// ErrUnavailable means that this system cannot keep CMD from outliving its caller.
	ErrUnavailable = errors.New("cannot run a command here: that needs the child subreapers of Linux")
	// ErrGuardKilled means that the guard was killed, and CMD with it.
	ErrGuardKilled = errors.New("its guard process was killed")
)

// An ExitError means that CMD failed.
type ExitError struct {
	Name   string         // as in Argv[0]
	Status int            // as a shell has it: 128+n if signal n killed CMD
	Signal syscall.Signal // 0 if CMD exited
}

func (e *ExitError) Error() string {
	if e.Signal != 0 {
		return fmt.Sprintf("%s was killed by %s", e.Name, signalName(e.Signal))
	}
	return fmt.Sprintf("%s exited with status %d", e.Name, e.Status)
}

// A StartError means that CMD could not be started.
type StartError struct {
	Name string
	Err  error // a syscall.Errno
}

func (e *StartError) Error() string { return fmt.Sprintf("start %s: %v", e.Name, e.Err) }
func (e *StartError) Unwrap() error { return e.Err }

// A SetupError is what the setup function returned; CMD was not started.
type SetupError struct{ Message string }

func (e *SetupError) Error() string { return e.Message }
