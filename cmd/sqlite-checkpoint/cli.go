package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/manual"
	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// cli is the grammar of the command line, and its manual.
type cli struct {
	Snapshot   snapshotCmd   `cmd:"" aliases:"snap" help:"Checkpoint a database, then back it up."`
	Backup     backupCmd     `cmd:"" aliases:"bk" help:"Make a verified copy of a database, in use or not."`
	Pipe       pipeCmd       `cmd:"" help:"Run a command with the stream on its stdin; kill it if the stream breaks."`
	Shadow     shadowCmd     `cmd:"" help:"Run a command on a directory whose databases are verified copies."`
	Verify     verifyCmd     `cmd:"" help:"Check that a stream or a file is complete and unchanged."`
	Restore    restoreCmd    `cmd:"" help:"Turn a stream or a file back into a database."`
	Checkpoint checkpointCmd `cmd:"" aliases:"cp" help:"Copy the write-ahead log back into the database."`
	List       listCmd       `cmd:"" help:"List the dated copies in a directory."`
	Prune      pruneCmd      `cmd:"" help:"Remove dated copies that a policy does not keep."`
	Info       infoCmd       `cmd:"" help:"Describe a database without touching it."`
	Doctor     doctorCmd     `cmd:"" help:"Say whether a backup of each database would work, without touching it."`
	Watch      watchCmd      `cmd:"" help:"Run a command when, and only when, something was committed."`
	Help       helpCmd       `cmd:"" help:"Show the help of a command."`
	Show       versionCmd    `cmd:"" name:"version" help:"Print versions, as --version does."`
	Completion completionCmd `cmd:"" help:"Print the completion script of a shell."`
	Man        manCmd        `cmd:"" hidden:"" help:"Write the manual pages into a directory."`

	commonFlags `group:"Common flags:"`
}

// commonFlags are accepted before and after the name of every command.
type commonFlags struct {
	JSON       bool        `name:"json" help:"Print the result, or the error, as one line of JSON."`
	Quiet      bool        `short:"q" help:"Print nothing but errors, and results in JSON."`
	NoProgress bool        `help:"Show no progress bar."`
	Report     string      `placeholder:"FILE" help:"${report_help}"`
	Version    versionFlag `short:"V" help:"Print the versions of this tool, SQLite and Go, and SQLite's modules."`
}

// streamFlags belong to every command that emits a stream.
type streamFlags struct {
	Check        engine.Check  `default:"auto" enum:"auto,quick,full,none" placeholder:"LEVEL" help:"${check_help}"`
	Zstd         bool          `help:"Compress; zstd -d decompresses it."`
	Level        string        `placeholder:"LEVEL" values:"fastest,default,better,best" help:"${level_help}"`
	NoTrailer    bool          `help:"Leave out the trailer that proves a stream complete; needs --sidecar."`
	Sidecar      string        `placeholder:"FILE" help:"${sidecar_help}"`
	NoSidecar    bool          `help:"Write no DEST.sha256."`
	Tmpdir       string        `placeholder:"DIR" help:"${tmpdir_help}"`
	BusyTimeout  time.Duration `default:"10s" help:"How long to wait for a locked database (default: ${default})."`
	Timeout      time.Duration `placeholder:"TIME" help:"${timeout_help}"`
	PagesPerStep pageCount     `placeholder:"N" help:"Pages copied per backup step (default: about 4 MiB)."`
	metricsFlag
}

// Validate rejects invalid combinations of flags before any work is done.
func (f *streamFlags) Validate() error {
	switch {
	case f.BusyTimeout < 0 || f.Timeout < 0:
		return errors.New("a timeout must not be negative")
	case f.Level != "" && !f.Zstd:
		return errors.New("--level needs --zstd")
	case f.Sidecar != "" && f.NoSidecar:
		return errors.New("use --sidecar or --no-sidecar, not both")
	}
	return nil
}

// A pageCount is a number of pages; 0 if it was not given.
type pageCount int

// maxPages fits in the C int that SQLite takes for the pages of a step.
const maxPages = 1 << 30

// UnmarshalText is called by kong.
func (p *pageCount) UnmarshalText(b []byte) error {
	n, err := strconv.Atoi(string(b))
	if err != nil || n < 1 || n > maxPages {
		return fmt.Errorf("must be a number from 1 to %d", maxPages)
	}
	*p = pageCount(n)
	return nil
}

// errShown ends a run that has printed its help or version.
var errShown = errors.New("shown")

// dispatch runs the command that args name.
func dispatch(ctx context.Context, con *console, args []string) error {
	var grammar cli
	parser, err := kong.New(&grammar,
		kong.Name(program),
		kong.Description("Verified, streamable snapshots of live SQLite databases, and the way back."),
		kong.Writers(con.stdout, con.stderr),
		kong.KindMapper(reflect.String, kong.MapperFunc(asTyped)),
		kong.Help(printHelp),
		withLongHelp(),
		leaveOut(args),
		kong.PostBuild(func(k *kong.Kong) error { k.Model.HelpFlag.Help = "Show this help."; return nil }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(con),
	)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		parser.Stdout = con.stderr
		parser.Parse([]string{"--help"})
		return usagef("no command given")
	}
	command, err := parser.Parse(args)
	if errors.Is(err, errShown) {
		return errShown
	}
	if err != nil {
		flags := commonFlagsOf(args)
		con.configure(flags)
		con.reportTo(newReport(flags.Report, parsed(err)))
		con.measureBy(newMeasurement(parsed(err)))
		return parseFault(err)
	}
	con.configure(grammar.commonFlags)
	con.command = command.Selected().Name
	reportErr := con.reportTo(newReport(grammar.Report, command))
	metricsErr := con.measureBy(newMeasurement(command))
	if err := cmp.Or(reportErr, metricsErr); err != nil {
		return err
	}
	con.report.begin()
	return command.Run()
}

// asTyped decodes a string unchanged. Kong decodes by way of JSON, which changes file names that
// are not UTF-8.
func asTyped(ctx *kong.DecodeContext, target reflect.Value) error {
	token, err := ctx.Scan.PopValue("string")
	if err == nil {
		target.SetString(token.String())
	}
	return err
}

// printHelp prints kong's help and the exit statuses to stdout.
func printHelp(options kong.HelpOptions, command *kong.Context) error {
	options.NoExpandSubcommands = true
	if selected := command.Selected(); selected != nil {
		options.NoAppSummary = true
		usage := strings.Join(manual.Usage(selected), "\n       "+program+" ")
		io.WriteString(command.Stdout, "Usage: "+program+" "+usage+"\n")
	}
	err := kong.DefaultHelpPrinter(options, command)
	if err == nil {
		_, err = io.WriteString(command.Stdout, "\n"+exitStatusHelp)
	}
	if err != nil && !errors.Is(err, syscall.EPIPE) { // as in: sqlite-checkpoint --help | head
		return outputFault("standard output", err)
	}
	return errShown
}

// A helpCmd does the same as --help.
type helpCmd struct {
	Command string `arg:"" optional:"" help:"The command."`
}

// Run is the command.
func (cmd *helpCmd) Run(command *kong.Context) error {
	args := []string{"--help"}
	if cmd.Command != "" {
		args = []string{cmd.Command, "--help"}
	}
	_, err := command.Kong.Parse(args)
	return parseFault(err)
}

// parsed returns what kong had parsed of a command line before it failed. It may be nil.
func parsed(err error) *kong.Context {
	var parse *kong.ParseError
	if errors.As(err, &parse) {
		return parse.Context
	}
	return nil
}

// commonFlagsOf finds --json and --report in a command line that does not parse, so that its
// failure is reported as requested.
func commonFlagsOf(args []string) commonFlags {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	f := commonFlags{JSON: slices.Contains(args, "--json")}
	for i, arg := range args {
		if value, found := strings.CutPrefix(arg, "--report="); found {
			f.Report = value
		} else if arg == "--report" && i+1 < len(args) {
			f.Report = args[i+1]
		}
	}
	return f
}
