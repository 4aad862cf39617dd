package main

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/guard"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// fromFlags read the stdout of a command instead of a file.
type fromFlags struct {
	FromCommand bool          `help:"Instead of SRC: run CMD, given after --, and read its stdout. It must succeed."`
	Timeout     time.Duration `placeholder:"TIME" help:"Longest time without progress at the input (default: none)."`
	Command     []string      `arg:"" name:"cmd" optional:"" help:"With --from-command: a command and its arguments."`
}

// Validate rejects arguments without a command.
func (f *fromFlags) Validate() error {
	switch {
	case len(f.Command) > 0 && !f.FromCommand:
		return errors.New("unexpected argument " + f.Command[0])
	case f.Timeout < 0:
		return errors.New("--timeout must not be negative")
	}
	return nil
}

// open opens SRC, or starts CMD in its place. Messages then name CMD.
func (f *fromFlags) open(ctx context.Context, source string, proof proofFlags) (in *input, err error) {
	start := time.Now()
	if f.FromCommand {
		in, err = openCommand(ctx, append([]string{source}, f.Command...), proof)
	} else {
		in, err = openInput(ctx, source, proof)
	}
	if err != nil {
		return nil, err
	}
	in.opened = start
	if in.source != nil {
		in.source.timeout = f.Timeout
	}
	return in, nil
}

// endGrace is how long a command may take to exit after TERM, once its output is no longer read.
const endGrace = 2 * time.Second

// openCommand is openInput for the stdout of a command. The guard keeps the write end until CMD and
// all that it has started have exited: there is no EOF before.
func openCommand(ctx context.Context, argv []string, proof proofFlags) (*input, error) {
	opts, err := proof.options("-")
	if err != nil {
		return nil, err
	}
	if err := checkCommand(argv[0]); err != nil {
		return nil, err
	}
	out, into, err := os.Pipe()
	if err != nil {
		return nil, inputFault(argv[0], err)
	}
	process, err := guard.Start(ctx, guard.Command{
		Argv: argv, Stdin: os.Stdin, Stdout: into, Stderr: os.Stderr, Grace: endGrace,
	})
	into.Close()
	if err != nil {
		out.Close()
		return nil, commandFault(err)
	}
	source := &ctxReader{ctx: ctx, file: out, fd: descriptor(out), name: argv[0]}
	source.failed = func() error { // once the guard is killed, what CMD has started keeps the write end
		if err := process.Explain(nil); err != nil {
			return commandFault(err)
		}
		return nil
	}
	reader := stream.NewReader(&commandReader{source, process}, opts)
	return &input{Reader: reader, source: source, end: process.Close}, nil
}

// A commandReader reads the stdout of a command. It returns io.EOF only if the command has
// succeeded.
type commandReader struct {
	*ctxReader
	process *guard.Process
}

func (r *commandReader) Read(b []byte) (int, error) {
	n, err := r.ctxReader.Read(b)
	if err == io.EOF {
		if failed := r.process.Finish(); failed != nil {
			return n, commandFault(failed)
		}
	}
	return n, err
}
