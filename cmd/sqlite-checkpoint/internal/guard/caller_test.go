//go:build linux

package guard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

const callerVariable = "GUARD_TEST_CALLER"

// TestMain lets the test binary also be the guard and the caller, a program that can be killed.
func TestMain(m *testing.M) {
	switch {
	case os.Args[0] == Name:
		os.Exit(Main(testSetup))
	case os.Getenv(callerVariable) != "":
		os.Exit(caller(os.Getenv(callerVariable)))
	}
	os.Exit(testkit.LeakChecked(m).Run())
}

// A call is what the caller does: it runs script in a shell, with so many bytes of input, or with
// /dev/null as stdin.
type call struct {
	Script         string
	Argv           []string // instead
	Input          int
	NoPipe         bool
	Grace, Timeout time.Duration
	Setup          []byte
}

// Exit statuses of the caller that are not CMD's.
const (
	statusStalled = 100 + iota
	statusEndedEarly
	statusGuardKilled
	statusNotStarted
	statusRefused
	statusOther

	statusTerminated = 143
	statusKilled     = 137
)

// caller is the main function of a program that uses this package.
func caller(variable string) int {
	os.Unsetenv(callerVariable)
	var c call
	if err := json.Unmarshal([]byte(variable), &c); err != nil {
		panic(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	err := c.run(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	var exit *ExitError
	var start *StartError
	var refused *SetupError
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		return statusTerminated
	case errors.As(err, &exit):
		return exit.Status
	case errors.As(err, &start):
		return statusNotStarted
	case errors.As(err, &refused):
		return statusRefused
	case errors.Is(err, ErrStalled):
		return statusStalled
	case errors.Is(err, ErrEndedEarly):
		return statusEndedEarly
	case errors.Is(err, ErrGuardKilled):
		return statusGuardKilled
	}
	return statusOther
}

func (c *call) run(ctx context.Context) error {
	command := Command{
		Argv: []string{"sh", "-c", c.Script}, Stdout: os.Stdout, Stderr: os.Stderr,
		Grace: c.Grace, Timeout: c.Timeout, Setup: c.Setup,
	}
	if c.Argv != nil {
		command.Argv = c.Argv
	}
	if c.NoPipe {
		null, err := os.Open(os.DevNull)
		if err != nil {
			return err
		}
		defer null.Close()
		command.Stdin = null
	}
	p, err := Start(ctx, command)
	if err != nil {
		return err
	}
	defer p.Close()
	if !c.NoPipe {
		_, err = p.Write(make([]byte, c.Input))
	}
	if err == nil {
		err = p.Finish()
	}
	return p.Explain(err)
}

// testSetup mounts the first directory of data over the second, in a mount namespace of its own.
func testSetup(data []byte) error {
	from, to, found := strings.Cut(string(data), ":")
	if !found {
		return fmt.Errorf("refused: %q", data)
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	return unix.Mount(from, to, "", unix.MS_BIND, "")
}
