package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

const (
	runAsOwner       = "run as root or as the user who owns the database"
	notEvenUnchecked = "restore a backup; or copy it with cp while no program has it open, and run sqlite3's .recover"

	readAsOwner   = "run as root or as a user who may read the copies"
	findCreator   = "find out which program put it there before you move it away"
	otherPath     = "name the file by the path that its application uses"
	stopExclusive = "stop that program first: with locking_mode=EXCLUSIVE it never releases its lock"
	startReader   = "start the reader, or allow more time with --timeout"
	fetchAgain    = "fetch it again, or take another backup"
	findMount     = "check the path, and whether its file system is mounted"
	removeDamaged = "move the damaged copy away or make a new backup, then prune again"
	createDir     = "create the directory first"
	keepGoing     = "--keep-going leaves it out; "
)

// commandHints replace the hints of the table for some commands, whose flags they can name.
var commandHints = []struct {
	commands string
	kind     engine.Kind
	hint     string
}{
	{"backup snapshot pipe shadow", engine.KindBusy, "try again, or wait longer with --busy-timeout"},
	{"backup snapshot pipe shadow checkpoint", engine.KindExclusive,
		stopExclusive + "; if it only commits often, raise --busy-timeout"},
	{"backup snapshot pipe", engine.KindCorrupt, "--check none still copies what can be read, for sqlite3's .recover"},
	{"shadow", engine.KindCorrupt, keepGoing + "backup --check none saves what can be read, for sqlite3's .recover"},
	{"shadow", engine.KindNoSpace, "make room there, or use another directory with --stage"},
	{"shadow", engine.KindTemp, "use another directory with --stage"},
	{"shadow", engine.KindNotOwner, "run as root, or as the owner and in the group of the database"},
	{"verify restore", engine.KindCorrupt, "use another backup; sqlite3's .recover may save a part of this one"},
	{"backup snapshot", engine.KindNoSpace,
		"make room there, or use another directory: --tmpdir for a stream or a network, DEST for a file"},
	{"backup snapshot", engine.KindTemp, "use another directory: --tmpdir for a stream, DEST for a file"},
	{"pipe verify", engine.KindNoSpace, "make room there, or use another directory with --tmpdir"},
	{"pipe verify", engine.KindTemp, "use another directory with --tmpdir"},
	{"verify restore", kindNoGuard, "pipe the output of CMD into this command, with - for SRC"},
	{"checkpoint", engine.KindUnreadable,
		"run as root or as the owner, where the file system is writable; or use backup, which writes nothing"},
}

// advice returns the hint for err: its own, or else that for the file, the command or the kind.
func advice(command string, r row, err error) string {
	var own *fault
	if errors.As(err, &own) && own.hint != "" {
		return own.hint
	}
	if hint := caseHint(r.kind, err); hint != "" {
		return hint
	}
	if r.kind == engine.KindCorrupt && !isCheck(err) && command != "verify" && command != "restore" {
		if command == "shadow" {
			return keepGoing + notEvenUnchecked
		}
		return notEvenUnchecked
	}
	for _, h := range commandHints {
		if h.kind == r.kind && slices.Contains(strings.Fields(h.commands), command) {
			return h.hint
		}
	}
	return r.hint
}

// isCheck reports whether the copy failed SQLite's check, so that --check none would make one.
func isCheck(err error) bool {
	var known *engine.Error
	return !errors.As(err, &known) || known.Op == "check"
}

// caseHint returns a hint that depends on the file.
func caseHint(kind engine.Kind, err error) string {
	var known *engine.Error
	switch {
	case errors.Is(err, engine.ErrNamespace):
		return "name it by its path here, or run this program there, with nsenter --target PID --mount"
	case errors.Is(err, atomicfile.ErrForeignLink) && kind == engine.KindForeignFile:
		return "name the database itself: root does not follow the link for a user who may not read it"
	case errors.Is(err, atomicfile.ErrForeignLink):
		return "name the directory itself: root does not follow another user's symbolic link"
	case errors.Is(err, syscall.ELOOP):
		return "name the file itself: its symbolic links lead in a circle"
	case kind == engine.KindUnreadable && errors.Is(err, engine.ErrPathTooLong):
		return "bind-mount its directory where the path is shorter (mount --bind)"
	case kind == engine.KindTemp && errors.Is(err, engine.ErrPathTooLong):
		return "use a directory with a shorter path"
	case kind == engine.KindNoSpace && errors.Is(err, syscall.EFBIG):
		return "raise the limit of a file's size with ulimit -f, or LimitFSIZE in a systemd unit"
	case kind == engine.KindTemp && errors.Is(err, fs.ErrNotExist):
		return createDir
	case !errors.As(err, &known):
	case kind == engine.KindMissing && (known.Op == "search" || known.Op == "watch"):
		return findMount
	case kind == engine.KindMissing && known.Path == "-":
		return "name a file: restore turns a stream on stdin into a database"
	case kind != engine.KindNotDatabase:
	case databaseOf(known.Path) != "":
		return "name its database, " + databaseOf(known.Path)
	case isDirectory(known.Path):
		return "name a database in it, or use shadow or doctor, which search directories"
	case isSpecial(known.Path):
		return "name a file: a pipe, a device or a socket holds no database"
	case beginsWith(known.Path, zstdMagic):
		return "read a compressed stream with verify or restore"
	case isEmpty(known.Path):
		return "wait until its application has written to it: an empty file is not a database yet"
	}
	return ""
}

// databaseOf is the database that a file belongs to by its name, empty if there is none.
func databaseOf(path string) string {
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		if database, found := strings.CutSuffix(path, suffix); found && beginsWith(database, databaseMagic) {
			return database
		}
	}
	return ""
}

// missingCommand is the error for a command line without CMD.
func missingCommand(usage string) error {
	return &fault{
		kind: kindUsage, err: errors.New("missing argument: CMD, after --"),
		hint: "put -- before the command, as in: " + program + " " + usage + " -- CMD",
	}
}

// commandOf returns CMD without the -- that kong leaves in front of it. It fails if CMD cannot be
// started.
func commandOf(usage string, args []string) ([]string, error) {
	switch {
	case args[0] != "--":
		return nil, usagef("unexpected argument %s: flags go between %s and --", args[0], usage)
	case len(args) < 2 || args[1] == "":
		return nil, missingCommand(usage)
	}
	if _, err := exec.LookPath(args[1]); err != nil {
		return nil, startFault(args[1], err)
	}
	return args[1:], nil
}

// withoutCommand returns the error for a command line in which kong finds no CMD. That is also the
// case if the operand before -- is missing, because kong then takes CMD for it.
func withoutCommand(parsed *kong.Context) error {
	command := parsed.Selected()
	operand := strings.ToUpper(command.Positional[0].Name)
	if at := slices.Index(parsed.Args, "--"); at >= 0 && at < len(parsed.Args)-1 {
		return usagef("missing argument: %s, before --", operand)
	}
	return missingCommand(command.Name + " " + operand)
}

// dashedFile returns an argument that looks like a flag and is the name of a file.
func dashedFile(command *kong.Context) string {
	if command == nil {
		return ""
	}
	i := slices.IndexFunc(command.Args, func(arg string) bool {
		_, err := os.Lstat(arg)
		return strings.HasPrefix(arg, "-") && err == nil
	})
	if i < 0 {
		return ""
	}
	return command.Args[i]
}

// fromNothing reports whether a command line has --from-command, but no CMD: kong then says that
// SRC or DB is missing.
func fromNothing(args []string) bool {
	at := slices.Index(args, "--")
	return slices.Contains(args, "--from-command") && (at < 0 || at == len(args)-1)
}

// insteadOf returns a hint for a destination that exists and is no regular file.
func insteadOf(destination string) string {
	_, statErr := os.Stat(destination)
	if target, err := os.Readlink(destination); err == nil && !errors.Is(statErr, syscall.ELOOP) {
		return "it is a symbolic link: name the file itself, " + target
	}
	info, err := os.Stat(destination)
	switch {
	case err != nil || info.Mode().IsRegular():
		return ""
	case info.IsDir():
		return "it is a directory: name a file in it, such as " + filepath.Join(destination, "app.db")
	}
	return "it is a device, a pipe or a socket: name a new file"
}

const (
	// zstdMagic begins a compressed stream: RFC 8878, 3.1.1.
	zstdMagic = "\x28\xb5\x2f\xfd"
	// databaseMagic begins a database: https://sqlite.org/fileformat.html, 1.3.1.
	databaseMagic = "SQLite format 3\x00"
)

func isSpecial(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

func isEmpty(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() == 0
}
