package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/guard"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// fromFlags let a command deliver what is read.
type fromFlags struct {
	FromCommand bool     `help:"Leave out SRC: run CMD, which follows --, and read its stdout. CMD must succeed, too."`
	Command     []string `arg:"" name:"cmd" optional:"" help:"With --from-command: a program and its arguments."`
}

// Validate rejects arguments without a command.
func (f *fromFlags) Validate() error {
	if len(f.Command) > 0 && !f.FromCommand {
		return errors.New("unexpected argument " + f.Command[0])
	}
	return nil
}

// open opens SRC, or starts the command in its place. CMD's name stands where SRC would.
func (f *fromFlags) open(ctx context.Context, source string, proof proofFlags) (*input, error) {
	if f.FromCommand {
		return openCommand(ctx, append([]string{source}, f.Command...), proof)
	}
	return openInput(ctx, source, proof)
}

// endGrace is how long a command may take to end after TERM, once nobody reads its output any more.
const endGrace = 5 * time.Second

// openCommand is openInput for the stdout of a command.
func openCommand(ctx context.Context, argv []string, proof proofFlags) (*input, error) {
	opts, err := proof.options("-")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = endGrace
	out, into, err := os.Pipe()
	if err != nil {
		cancel()
		return nil, inputFault(argv[0], err)
	}
	cmd.Stdout = into
	err = cmd.Start()
	into.Close()
	if err != nil {
		cancel()
		out.Close()
		return nil, startFault(argv[0], err)
	}
	source := &commandReader{ctxReader: &ctxReader{ctx: ctx, file: out, fd: descriptor(out), name: argv[0]}, cmd: cmd}
	end := func() { cancel(); source.wait() }
	return &input{Reader: stream.NewReader(source, opts), file: out, end: end}, nil
}

// A commandReader reads the stdout of a command, which ends only if the command has succeeded.
type commandReader struct {
	*ctxReader
	cmd   *exec.Cmd
	ended bool
	err   error
}

func (r *commandReader) Read(b []byte) (int, error) {
	n, err := r.ctxReader.Read(b)
	if err == io.EOF {
		if failed := r.wait(); failed != nil {
			return n, failed
		}
	}
	return n, err
}

// wait waits until the command has ended. It is idempotent.
func (r *commandReader) wait() error {
	if r.ended {
		return r.err
	}
	r.ended = true
	err := r.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		r.err = commandFault(exitErrorOf(r.name, exit))
	} else if err != nil {
		r.err = fmt.Errorf("run %s: %w", r.name, err)
	}
	return r.err
}

// exitErrorOf is how a shell would tell the status.
func exitErrorOf(name string, exit *exec.ExitError) *guard.ExitError {
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return &guard.ExitError{Name: name, Status: 128 + int(status.Signal()), Signal: status.Signal()}
	}
	return &guard.ExitError{Name: name, Status: exit.ExitCode()}
}
