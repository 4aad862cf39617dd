package testkit

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
)

// RoleVariable names the role in which a test binary is started again.
const RoleVariable = "SQLITE_CHECKPOINT_TEST_ROLE"

const argumentVariable = RoleVariable + "_ARGUMENT"

// Roles are what a test binary can do in another process, as an application would. The process
// should end when its standard input is at EOF.
type Roles map[string]func(argument string) error

// Play ends the process if it was started in a role. TestMain calls it first.
func (r Roles) Play() {
	name, given := os.LookupEnv(RoleVariable)
	if !given {
		return
	}
	err := fmt.Errorf("no role %q", name)
	if play := r[name]; play != nil {
		err = play(os.Getenv(argumentVariable))
	}
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// UntilEOF is closed when standard input is at EOF.
func UntilEOF() <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		io.Copy(io.Discard, os.Stdin)
	}()
	return ended
}

// Ready tells the test that the process is where the test needs it.
func Ready() { fmt.Println("ready") }

// A Player is a process in a role.
type Player struct {
	testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// StartRole starts the test binary in a role, and returns when it is ready. It is killed at the end
// of the test at the latest.
func StartRole(t testing.TB, role, argument string) *Player {
	t.Helper()
	p := &Player{TB: t, cmd: exec.Command("/proc/self/exe")}
	p.cmd.Env = append(os.Environ(), RoleVariable+"="+role, argumentVariable+"="+argument)
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	p.in, p.out = in, bufio.NewScanner(out)
	if !p.out.Scan() || p.out.Text() != "ready" {
		t.Fatalf("%s: %q", role, p.out.Text())
	}
	return p
}

// Stop has the process exit, as an application does, and returns what it printed last.
func (p *Player) Stop() string {
	p.in.Close()
	p.out.Scan()
	p.cmd.Wait()
	return p.out.Text()
}

// Kill kills the process, as a crash does.
func (p *Player) Kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}
