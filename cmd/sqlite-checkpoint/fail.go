package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/guard"
	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// The exit statuses. README and --help print this table, scripts rely on it.
const (
	exitOther   = 1
	exitUsage   = 2
	exitSource  = 3
	exitBusy    = 4
	exitCorrupt = 5
	exitSpace   = 6
	exitOutput  = 7
	exitStream  = 8
	exitExists  = 9
	exitSignal  = 128

	exitNotExecutable = 126
	exitNotFound      = 127
)

const exitStatusHelp = `Exit status:
  0  done                               5  corrupt database, or check incomplete
  1  anything else                      6  temp or destination I/O, no space
  2  usage                              7  output failed, or CMD ended early
  3  source missing or unsuitable       8  stream incomplete, damaged or unproven
  4  busy, try again                    9  would overwrite
  128+n  ended by signal n              under pipe: CMD's own status when CMD failed,
                                        126 CMD cannot be run, 127 CMD not found
`

// Kinds of failure that this package finds out by itself. The others are the engine's, or stand for a stream error.
const (
	kindOther       = "other"
	kindUsage       = "usage"
	kindInUse       = "in_use"
	kindOutput      = "output"
	kindStalled     = "stalled"
	kindTerminal    = "terminal"
	kindInterrupted = "interrupted"
	kindUnfinished  = "unfinished"

	kindDamagedCopies = "damaged_copies"

	kindNotFound      = "command_not_found"
	kindNotExecutable = "command_not_executable"
	kindCommandFailed = "command_failed"
	kindEndedEarly    = "command_ended_early"
)

const (
	waysToProve = "prove it with --sha256 HEX or with --sidecar FILE, or accept it with --unproven"
	partOnly    = "what is here is not the whole stream: fetch it again, or take another backup"
)

// kinds is the one table: what can go wrong, the exit status, what to do about it, and the error of package stream
// that means it. The engine names its kinds itself.
var kinds = []struct {
	kind string
	code int
	hint string
	is   error
}{
	{kindUsage, exitUsage, "", nil},
	{string(engine.KindPattern), exitUsage, "quote [ and \\ in a pattern with \\, and close every [", nil},
	{kindTerminal, exitUsage, "send it to a file or a program, as in: sqlite-checkpoint backup DB - | restic backup --stdin", stream.ErrTerminal},

	{string(engine.KindMissing), exitSource, "check the path; a missing database is never created", nil},
	{string(engine.KindNotDatabase), exitSource, "it has to be a SQLite database; an encrypted one only its own program can copy", nil},
	{string(engine.KindUnreadable), exitSource, "run as root or as the user who owns the database", nil},
	{string(engine.KindHotJournal), exitSource, "open it once with its application, which completes the rollback, then try again", nil},
	{string(engine.KindChanged), exitSource, "something else replaced or cut the file meanwhile: try again once that is over", nil},
	{string(engine.KindForeignFile), exitSource, "find out who put it there before you move it away", nil},
	{string(engine.KindElsewhere), exitSource, "name the file by the path that its application uses; if its -wal was deleted, stop the application first", nil},
	{string(engine.KindInProcess), exitSource, "close the database in this process first", nil},
	{string(engine.KindNotOwner), exitSource, "run as root or as the user who owns the database", nil},
	{kindInUse, exitSource, "copy a database in use with backup, or look at it with info", nil},

	{string(engine.KindBusy), exitBusy, "try again, or wait longer with --busy-timeout", nil},

	{string(engine.KindExclusive), exitBusy, "stop that program first: with locking_mode=EXCLUSIVE it never lets go; if it only commits much, raise --busy-timeout", nil},
	{string(engine.KindUnlocked), exitBusy, "run it on the machine and under the path that the application uses, or while the application is stopped", nil},

	{string(engine.KindCorrupt), exitCorrupt, "--check none still copies what can be read, for sqlite3's .recover", nil},
	{string(engine.KindCheckIncomplete), exitCorrupt, "--check auto checks as much as can be checked here, and says how much that was", nil},

	{string(engine.KindNoSpace), exitSpace, "make room there, or use another directory (--tmpdir, for a stream)", nil},
	{string(engine.KindTemp), exitSpace, "use another directory (--tmpdir, for a stream)", nil},

	{kindOutput, exitOutput, "", stream.ErrClosed},
	{kindOutput, exitOutput, "", stream.ErrBrokenPipe},
	{kindEndedEarly, exitOutput, "it has to read its stdin to the end", guard.ErrEndedEarly},
	{kindStalled, exitOutput, "is there a reader? --timeout says how long it is waited for", stream.ErrStalled},
	{kindStalled, exitOutput, "", guard.ErrStalled},

	{string(engine.KindInternal), exitOther, "this is a bug in sqlite-checkpoint: please report it", stream.ErrImageSize},

	{"stream_truncated", exitStream, partOnly, stream.ErrTruncated},
	{"stream_corrupt", exitStream, "fetch it again, or take another backup", stream.ErrCorrupt},
	{"stream_unproven", exitStream, waysToProve, stream.ErrNoTrailer},
	{"stream_version", exitStream, "use a newer sqlite-checkpoint", stream.ErrVersion},
	{"stream_empty", exitStream, "nothing arrived: did the program before it fail?", stream.ErrEmpty},
	{"stream_format", exitStream, "this is neither a database nor a stream of sqlite-checkpoint", stream.ErrFormat},
	{"stream_trailing_data", exitStream, "two streams may have been written into one", stream.ErrTrailingData},
	{"stream_mismatch", exitStream, "is it the digest of this very file?", stream.ErrMismatch},
	{"stream_sidecar", exitStream, "it must be the line that sha256sum writes, for this very name", stream.ErrSidecar},
	{kindDamagedCopies, exitStream, "save what you need of them, then remove them by hand; make a new backup", nil},
	{"stream_plain_zstd", exitStream, "unpack it first: zstd -dc FILE | sqlite-checkpoint verify -", stream.ErrPlainZstd},

	{string(engine.KindExists), exitExists, "nothing is ever overwritten: move it away, or choose another name", nil},
	{string(engine.KindSameFile), exitExists, "choose another destination", nil},

	{kindCommandFailed, exitOther, "", nil},
	{kindNotExecutable, exitNotExecutable, "", nil},
	{kindNotFound, exitNotFound, "give its path, or check PATH", nil},

	{kindUnfinished, exitOther, "it is still running, or was killed: look for its process, or run it again", nil},

	{kindOther, exitOther, "", nil},
}

// A fault is an error of this package's own, or somebody else's that only the caller can tell the kind of.
type fault struct {
	kind string
	err  error
	hint string // in place of the table's
	code int    // likewise, if not 0
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

func usagef(format string, args ...any) error {
	return &fault{kind: kindUsage, err: fmt.Errorf(format, args...)}
}

// outputFault is a failure to write where the result or the stream should go.
func outputFault(name string, err error) error {
	return &fault{kind: kindOutput, err: fmt.Errorf("write to %s: %w", name, err)}
}

// fileFault is a failure to write a file that we were asked for.
func fileFault(err error) error {
	switch {
	case errors.Is(err, fs.ErrExist):
		return &fault{kind: string(engine.KindExists), err: err}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &fault{kind: string(engine.KindNoSpace), err: err, hint: "make room, or choose another destination"}
	}
	return &fault{kind: string(engine.KindTemp), err: err}
}

// A failure is an error as it is told: in a few lines to people, as one object to programs.
type failure struct {
	Code     int    `json:"code"`
	Kind     string `json:"kind"`
	Message  text   `json:"message"`
	Hint     text   `json:"hint"`
	Findings []text `json:"findings,omitempty"`
}

// explain finds err in the table. A signal explains everything that went wrong after it.
func explain(ctx context.Context, err error) failure {
	var signalled interruption
	if errors.As(context.Cause(ctx), &signalled) {
		return failure{Code: exitSignal + int(signalled.signal), Kind: kindInterrupted, Message: text(signalled.Error())}
	}
	kind, hint := kindOf(err)
	f := failure{Kind: kind, Code: exitOther, Message: text(err.Error()), Hint: text(hint)}
	for _, row := range kinds {
		if row.kind != kind {
			continue
		}
		f.Code = row.code
		if f.Hint == "" {
			f.Hint = text(row.hint)
		}
	}
	var own *fault
	if errors.As(err, &own) && own.code != 0 {
		f.Code = own.code
	}
	var found *engine.Error
	if errors.As(err, &found) {
		f.Findings = texts(found.Findings)
	}
	return f
}

// kindOf names the kind of err, and the hint if err brings its own. What the stream says comes before what the engine
// made of it.
func kindOf(err error) (kind, hint string) {
	var own *fault
	if errors.As(err, &own) {
		return own.kind, own.hint
	}
	for _, row := range kinds {
		if row.is != nil && errors.Is(err, row.is) {
			return row.kind, ""
		}
	}
	var known *engine.Error
	if errors.As(err, &known) {
		return string(known.Kind), ""
	}
	return kindOther, ""
}

// cause is what the system says, without the name that the caller is about to give.
func cause(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}
