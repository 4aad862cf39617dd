package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/guard"
	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

type pipeCmd struct {
	DB      string   `arg:"" name:"db" help:"The database."`
	Command []string `arg:"" name:"cmd" passthrough:"partial" help:"After --: a command and its arguments."`
	streamFlags
	Grace time.Duration `default:"5s" help:"How long CMD may take to exit after TERM (default: ${default})."`
}

func (*pipeCmd) Help() string {
	return `CMD starts once the copy of DB has passed its check, and reads the stream from its stdin. If the stream
breaks, or this program is killed, CMD and everything it has started are killed before the pipe is closed: CMD cannot
take a truncated stream for a whole one. CMD itself gets TERM first. There is one exception: if this program and its
guard process ("command-guard") get SIGKILL at the same instant, CMD, or what it has started, may take the break for the
end; verify and restore refuse that stream, which has no trailer. A program at the far end of a network connection is
out of reach: it has to prove the stream itself.

From then on the terminal shows CMD's output and progress. CMD cannot ask for a password there, and Ctrl-C and Ctrl-Z
act on this program alone. If CMD fails, its exit status is also that of this program, and the error says so.

In CMD's arguments {size} stands for the number of bytes it will read, {image_size} and {sha256} for the size and the
digest of the database image. Its environment has the same: SQLITE_CHECKPOINT_SIZE, SQLITE_CHECKPOINT_IMAGE_SIZE and
SQLITE_CHECKPOINT_SHA256.

  sqlite-checkpoint pipe app.db -- rclone rcat --size {size} remote:app.db`
}

// Validate rejects invalid flags before any work is done.
func (cmd *pipeCmd) Validate() error {
	switch {
	case cmd.Grace < 0:
		return errors.New("--grace must not be negative")
	case cmd.Zstd && strings.Contains(strings.Join(cmd.argv(), " "), sizeMark):
		return fmt.Errorf("%s is not known before the stream is compressed: leave out %[1]s or --zstd", sizeMark)
	}
	return nil
}

// argv returns CMD without the leading --.
func (cmd *pipeCmd) argv() []string {
	if len(cmd.Command) > 0 && cmd.Command[0] == "--" {
		return cmd.Command[1:]
	}
	return cmd.Command
}

// Run is the command.
func (cmd *pipeCmd) Run(ctx context.Context, con *console) error {
	start := time.Now()
	con.streaming = true
	argv := cmd.argv()
	if len(argv) == 0 || argv[0] == "" {
		return missingCommand("pipe DB")
	}
	if err := checkCommand(argv[0]); err != nil {
		return err
	}
	j, err := newPipeJob(con, cmd)
	if err != nil {
		return err
	}
	result, err := j.run(ctx)
	if err != nil {
		return err
	}
	result.Command, result.Elapsed = "pipe", since(start)
	result.Destination = path(argv[0]) // its arguments may contain secrets
	return con.show(&result)
}

// sendToCommand starts CMD and gives it the stream.
func (j *job) sendToCommand(ctx context.Context, snap *engine.Snapshot) (stream.Summary, error) {
	digest, err := snap.SHA256()
	if err != nil {
		return stream.Summary{}, err
	}
	cmd, facts := j.command, streamFacts{imageSize: snap.Size(), sha256: stream.Digest(digest).String()}
	facts.size, _ = j.writerOptions(snap).StreamSize()
	j.con.yieldTerminal()
	j.con.allow(cmd.Grace)
	defer j.con.allow(0)
	p, err := guard.Start(ctx, guard.Command{
		Argv: facts.expand(cmd.argv()), Env: append(slices.DeleteFunc(os.Environ(), isFact), facts.environment()...),
		Stdout: j.con.stdout, Stderr: j.con.stderr, Grace: cmd.Grace, Timeout: cmd.Timeout,
	})
	if err != nil {
		return stream.Summary{}, commandFault(err)
	}
	defer p.Close()
	sum, err := j.send(p, snap)
	if err == nil {
		err = p.Finish()
	}
	if err != nil {
		return sum, commandFault(p.Explain(err))
	}
	return sum, nil
}

// commandFault classifies how CMD ended.
func commandFault(err error) error {
	var start *guard.StartError
	var exit *guard.ExitError
	switch {
	case errors.As(err, &start):
		return startFault(start.Name, start.Err)
	case errors.As(err, &exit):
		return &fault{kind: kindCommandFailed, code: exit.Status, err: fmt.Errorf("CMD failed: %w", err)}
	}
	return err
}

// checkCommand fails, before any work is done, if CMD cannot be run.
func checkCommand(name string) error {
	if err := guard.Available(); err != nil {
		return err
	}
	if _, err := exec.LookPath(name); err != nil {
		return startFault(name, err)
	}
	return nil
}

// startFault is the failure to run CMD, with the exit status of a shell.
func startFault(name string, err error) error {
	kind := kindNotExecutable
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		kind = kindNotFound
	}
	var lookup *exec.Error
	if errors.As(err, &lookup) {
		err = lookup.Err
	}
	return &fault{kind: kind, err: fmt.Errorf("start %s: %w", name, cause(err))}
}

// streamFacts are what CMD is told before the first byte. size is 0 if unknown.
type streamFacts struct {
	size, imageSize int64
	sha256          string
}

// sizeMark is replaced by the stream's size in CMD's arguments.
const sizeMark = "{size}"

func (f streamFacts) expand(argv []string) []string {
	return expand(argv,
		sizeMark, strconv.FormatInt(f.size, 10),
		"{image_size}", strconv.FormatInt(f.imageSize, 10),
		"{sha256}", f.sha256,
	)
}

// The variables of CMD's environment with the same facts.
const (
	envSize      = "SQLITE_CHECKPOINT_SIZE"
	envImageSize = "SQLITE_CHECKPOINT_IMAGE_SIZE"
	envSHA256    = "SQLITE_CHECKPOINT_SHA256"
)

func (f streamFacts) environment() []string {
	env := []string{fmt.Sprintf("%s=%d", envImageSize, f.imageSize), envSHA256 + "=" + f.sha256}
	if f.size > 0 {
		env = append(env, fmt.Sprintf("%s=%d", envSize, f.size))
	}
	return env
}

// isFact reports whether a variable is one of these. In our own environment it is about another
// stream.
func isFact(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return name == envSize || name == envImageSize || name == envSHA256
}
