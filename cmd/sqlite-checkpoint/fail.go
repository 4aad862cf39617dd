package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/guard"
	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
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
  128+n  ended by signal n              where CMD is run: its own status if it failed,
                                        126 CMD cannot be run, 127 CMD not found
`

// Kinds of failure of this package. The other kinds are the engine's, or stand for an error of
// package stream.
const (
	kindOther       engine.Kind = "other"
	kindUsage       engine.Kind = "usage"
	kindInUse       engine.Kind = "in_use"
	kindOutput      engine.Kind = "output"
	kindStalled     engine.Kind = "stalled"
	kindTerminal    engine.Kind = "terminal"
	kindInterrupted engine.Kind = "interrupted"
	kindUnfinished  engine.Kind = "unfinished"
	kindNamespace   engine.Kind = "no_namespace"
	kindAppeared    engine.Kind = "database_appeared"
	kindLost        engine.Kind = "output_lost"
	kindShardsBusy  engine.Kind = "destination_busy"
	kindNotShards   engine.Kind = "not_shards"

	kindEmpty         engine.Kind = "stream_empty"
	kindInputStalled  engine.Kind = "input_stalled"
	kindDiffers       engine.Kind = "differs"
	kindDamagedCopies engine.Kind = "damaged_copies"
	kindDamagedTree   engine.Kind = "damaged_directory"

	kindNoGuard       engine.Kind = "command_unguarded"
	kindNotFound      engine.Kind = "command_not_found"
	kindNotExecutable engine.Kind = "command_not_executable"
	kindCommandFailed engine.Kind = "command_failed"
	kindEndedEarly    engine.Kind = "command_ended_early"
)

// A row is a kind of failure: its exit status, a hint, and the error of another package that it
// stands for.
type row struct {
	kind engine.Kind
	code int
	hint string
	is   error
}

// kinds is the one table of failures. A hint here suits every command that can fail this way;
// others are in commandHints.
var kinds = []row{
	{kindUsage, exitUsage, "", nil},
	{engine.KindPattern, exitUsage, `quote [ and \ in a pattern with \, and close every [`, nil},
	{engine.KindBadQuery, exitUsage,
		"use one SELECT; pragmas are tables, as in: SELECT * FROM pragma_user_version", nil},
	{kindTerminal, exitUsage,
		"redirect it, as in: sqlite-checkpoint backup DB - | ssh host 'cat >app.copy'", stream.ErrTerminal},

	{engine.KindMissing, exitSource, "check the path; a missing database is never created", nil},
	{engine.KindNotDatabase, exitSource, "check the path; only its own program can copy an encrypted database", nil},
	{engine.KindUnreadable, exitSource, runAsOwner, nil},
	{engine.KindHotJournal, exitSource, "open it once with its application, which rolls it back; then try again", nil},
	{engine.KindChanged, exitSource, "try again once no program replaces or truncates the file", nil},
	{engine.KindForeignFile, exitSource, findCreator, nil},
	{engine.KindElsewhere, exitSource,
		otherPath + "; if its -wal or -shm was deleted or replaced, stop the application first", nil},
	{engine.KindInProcess, exitSource, "close the database in this process first", nil},
	{engine.KindNotOwner, exitSource, runAsOwner, nil},
	{engine.KindForeignFile, exitSource, "move it away: the directory is for shards alone", stream.ErrForeignFile},
	{kindNotShards, exitSource, "name a new or empty directory", stream.ErrNotShards},
	{kindInUse, exitSource, "copy a database in use with backup, or look at it with info", nil},

	{kindShardsBusy, exitBusy, "wait until it ends", stream.ErrShardsLocked},
	{kindAppeared, exitBusy, "run it again, which copies those databases", nil},
	{engine.KindBusy, exitBusy, "try again later", nil},
	{engine.KindExclusive, exitBusy, stopExclusive, nil},
	{engine.KindUnlocked, exitSource, otherPath + ", on the same machine, or stop the application", nil},

	{engine.KindCorrupt, exitCorrupt, notEvenUnchecked, nil},
	{engine.KindCheckIncomplete, exitCorrupt, "use --check auto, which reports what it could check", nil},

	{engine.KindNoSpace, exitSpace, "make room there", nil},
	{engine.KindTemp, exitSpace, "check the directory's permissions and the disk", nil},

	{kindOutput, exitOutput, "", nil},
	{kindOutput, exitOutput, "redirect standard output to a file or a pipe, or with >/dev/null", stream.ErrClosed},
	{kindOutput, exitOutput, "", stream.ErrBrokenPipe},
	{kindEndedEarly, exitOutput, "use a command that reads its stdin to the end", guard.ErrEndedEarly},
	{kindLost, exitOutput, "have CMD write to a directory that is not in DIR", nil},
	{kindStalled, exitOutput, startReader, stream.ErrStalled},
	{kindStalled, exitOutput, startReader, guard.ErrStalled},

	{engine.KindInternal, exitOther, "this is a bug in sqlite-checkpoint: please report it", stream.ErrImageSize},

	{"stream_truncated", exitStream, fetchAgain, stream.ErrTruncated},
	{"stream_incomplete", exitStream, "run the backup again, or wait until it ends", stream.ErrIncomplete},
	{"stream_corrupt", exitStream, fetchAgain, stream.ErrCorrupt},
	{"stream_unproven", exitStream,
		"give --sha256 HEX or --sidecar FILE, or accept it as it is with --unproven", stream.ErrNoTrailer},
	{"stream_version", exitStream, "use a newer sqlite-checkpoint", stream.ErrVersion},
	{kindEmpty, exitStream, "check the program that should have written it", stream.ErrEmpty},
	{"stream_format", exitStream, "name a stream or a copy made by sqlite-checkpoint", stream.ErrFormat},
	{"stream_trailing_data", exitStream, "keep each stream in a file of its own", stream.ErrTrailingData},
	{"stream_mismatch", exitStream,
		fetchAgain + "; a copy that was opened and changed no longer matches its digest", stream.ErrMismatch},
	{"stream_sidecar", exitStream,
		"name it with --sidecar FILE if SRC was renamed, or write it again with sha256sum", stream.ErrSidecar},
	{kindInputStalled, exitStream, "find out what the sender waits for, or allow more time with --timeout", nil},
	{kindDiffers, exitStream, "allow for later commits with --at-most-behind, or verify a newer backup", nil},
	{engine.KindQuery, exitStream,
		"try the query on an earlier copy and on the live database; a slow one needs a longer --query-timeout", nil},
	{kindDamagedTree, exitStream, "restore the directory again, or from an earlier backup", nil},
	{kindDamagedCopies, exitStream, "save what you need of them, then remove them by hand; make a new backup", nil},
	{"stream_plain_zstd", exitStream,
		"decompress it first: zstd -dc FILE | sqlite-checkpoint verify -", stream.ErrPlainZstd},

	{engine.KindExists, exitExists, "move it away, or choose another name", nil},
	{engine.KindSameFile, exitExists, "choose another destination", nil},

	{kindNoGuard, exitOther, "write a file with backup, and let CMD read that", guard.ErrUnavailable},
	{kindCommandFailed, exitOther, "", nil},
	{kindNotExecutable, exitNotExecutable, "name a program: a script needs chmod +x, and #! in its first line", nil},
	{kindNotFound, exitNotFound, "give its path, or check PATH", nil},

	{kindNamespace, exitOther, "", nil},
	{kindUnfinished, exitOther, "wait until it ends; if it was killed, run it again", nil},
	{kindOther, exitOther, "", nil},
}

// A fault is an error of this package, or a foreign error whose kind only its caller knows.
type fault struct {
	kind engine.Kind
	err  error
	hint string // replaces the table's
	code int    // replaces the table's, if not 0

	findings []string
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

func usagef(format string, args ...any) error {
	return &fault{kind: kindUsage, err: fmt.Errorf(format, args...)}
}

// outputFault is a failure to write the result or the stream.
func outputFault(name string, err error) error {
	return &fault{kind: kindOutput, err: fmt.Errorf("write to %s: %w", name, err)}
}

// fileFault is a failure to write a file that was asked for.
func fileFault(err error) error {
	switch {
	case errors.Is(err, fs.ErrExist):
		return &fault{kind: engine.KindExists, err: err}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &fault{kind: engine.KindNoSpace, err: err, hint: "make room, or choose another destination"}
	}
	return &fault{kind: engine.KindTemp, err: err}
}

// statusFault is a failure to write --report or --metrics. The hints of commands name other
// directories, so the table's hint stands.
func statusFault(path string, err error) error {
	f := fileFault(err).(*fault)
	_, statErr := os.Stat(filepath.Dir(path))
	special := errors.Is(err, atomicfile.ErrForeignLink) || errors.Is(statErr, fs.ErrNotExist)
	if f.kind == engine.KindTemp && !special {
		f.hint = rowOf(f.kind).hint
	}
	return f
}

// A failure is an error as it is printed: a few lines for people, one JSON object for programs.
type failure struct {
	Code     int    `json:"code"`
	Kind     string `json:"kind"`
	Message  text   `json:"message"`
	Hint     text   `json:"hint"`
	Findings []text `json:"findings,omitempty"`
}

// explain looks err up in the tables. After a signal every error is a consequence of it.
func explain(ctx context.Context, command string, err error) failure {
	var signalled interruption
	if errors.As(context.Cause(ctx), &signalled) {
		code := exitSignal + int(signalled.signal)
		return failure{Code: code, Kind: string(kindInterrupted), Message: text(signalled.Error())}
	}
	r := classify(err)
	f := failure{Code: r.code, Kind: string(r.kind), Message: text(err.Error()), Hint: text(advice(command, r, err))}
	var own *fault
	if errors.As(err, &own) {
		f.Code, f.Findings = cmp.Or(own.code, f.Code), texts(own.findings)
	}
	var found *engine.Error
	if errors.As(err, &found) {
		f.Findings = texts(found.Findings)
	}
	return f
}

// classify finds the row for err. An error of the stream takes precedence over the engine error
// that wraps it.
func classify(err error) row {
	var own *fault
	if errors.As(err, &own) {
		return rowOf(own.kind)
	}
	for _, r := range kinds {
		if r.is != nil && errors.Is(err, r.is) {
			return r
		}
	}
	var known *engine.Error
	if errors.As(err, &known) {
		return rowOf(known.Kind)
	}
	return rowOf(kindOther)
}

// rowOf returns the first row of a kind.
func rowOf(kind engine.Kind) row {
	for _, r := range kinds {
		if r.kind == kind {
			return r
		}
	}
	return row{kind: kind, code: exitOther}
}

// cause strips the path from an error whose message will name it anyway.
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
