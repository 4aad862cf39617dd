package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// TestHintsHelp: for each flag that a hint of the tables names, a script gets that hint, and uses
// the flag later.
func TestHintsHelp(t *testing.T) {
	names, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var scripts []string
	for _, name := range names {
		script, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		scripts = append(scripts, string(script))
	}
	var hints []string
	for _, r := range kinds {
		hints = append(hints, r.hint)
	}
	for _, h := range commandHints {
		hints = append(hints, h.hint)
	}
	flags := regexp.MustCompile(`--[a-z][a-z0-9-]+`)
	for _, hint := range hints {
		for _, flag := range flags.FindAllString(hint, -1) {
			used := regexp.MustCompile(`(?m)^(exec|exits) .*sqlite-checkpoint.* ` + flag + `\b`)
			if !thenUsed(scripts, hint, used) {
				t.Errorf("no script shows that %s helps: %s", flag, hint)
			}
		}
	}
}

var expectedHint = regexp.MustCompile(`(?m)^stderr '(hint: .*)'$`)

// thenUsed reports whether a script has the hint on stderr, and later a line that matches used.
func thenUsed(scripts []string, hint string, used *regexp.Regexp) bool {
	for _, script := range scripts {
		for _, at := range expectedHint.FindAllStringSubmatchIndex(script, -1) {
			expected := regexp.MustCompile(script[at[2]:at[3]])
			if expected.MatchString("hint: "+hint) && used.MatchString(script[at[1]:]) {
				return true
			}
		}
	}
	return false
}

// TestAdvice: the hint depends on the command, on the file, and on what was tried with it.
func TestAdvice(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, content := range map[string]string{
		"app.db": "SQLite format 3\x00", "app.db-wal": "x", "none-wal": "x", "text": "x", "text-shm": "x",
		"app.zst": zstdMagic, "empty": "",
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("dir", 0o700); err != nil {
		t.Fatal(err)
	}
	failed := func(kind engine.Kind, op, path string, err error) error {
		return &engine.Error{Kind: kind, Op: op, Path: path, Err: err}
	}
	const notDatabase = "check the path; only its own program can copy an encrypted database"
	for _, c := range []struct {
		commands string
		err      error
		want     string
	}{
		{"info", failed(engine.KindNotDatabase, "open", "app.db-wal", nil), "name its database, app.db"},
		{"info", failed(engine.KindNotDatabase, "open", "none-wal", nil), notDatabase},
		{"info", failed(engine.KindNotDatabase, "open", "text-shm", nil), notDatabase},
		{"info", failed(engine.KindNotDatabase, "open", "text", nil), notDatabase},
		{"info", failed(engine.KindNotDatabase, "open", "none", nil), notDatabase},
		{"info", failed(engine.KindNotDatabase, "open", "dir", nil), "name a database in it, or use shadow or doctor," +
			" which search directories"},
		{"info", failed(engine.KindNotDatabase, "open", "app.zst", nil), "read a compressed stream with verify " +
			"or restore"},
		{"info", failed(engine.KindNotDatabase, "open", "empty", nil), "wait until its application has written to it:" +
			" an empty file is not a database yet"},
		{"info", failed(engine.KindMissing, "open", "-", nil), "name a file: restore turns a stream on stdin " +
			"into a database"},
		{"info", failed(engine.KindMissing, "open", "x", nil), "check the path; a missing database is never created"},
		{"shadow doctor", failed(engine.KindMissing, "search", "x", nil), findMount},
		{"shadow doctor", failed(engine.KindMissing, "search", "-", nil), findMount},
		{"watch", failed(engine.KindMissing, "watch", "x", nil), findMount},
		{"backup", failed(engine.KindNoSpace, "copy", "x", syscall.EFBIG), "raise the limit of a file's size with " +
			"ulimit -f, or LimitFSIZE in a systemd unit"},
		{"restore", failed(engine.KindNoSpace, "copy", "x", syscall.ENOSPC), "make room there"},
		{"restore", failed(engine.KindTemp, "copy", "x", fs.ErrNotExist), "create the directory first"},
		{"restore", failed(engine.KindTemp, "copy", "x", engine.ErrPathTooLong), "use a directory with a shorter path"},
		{"backup", failed(engine.KindUnreadable, "open", "x", engine.ErrPathTooLong), "bind-mount its directory where" +
			" the path is shorter (mount --bind)"},
		{"backup", failed(engine.KindForeignFile, "open", "x", atomicfile.ErrForeignLink), "name the database itself:" +
			" root does not follow the link for a user who may not read it"},
		{"backup", failed(engine.KindTemp, "open", "x", atomicfile.ErrForeignLink), "name the directory itself: root " +
			"does not follow another user's symbolic link"},
		{"backup snapshot pipe", failed(engine.KindCorrupt, "check", "x", nil), "--check none still copies what can " +
			"be read, for sqlite3's .recover"},
		{"backup snapshot pipe info doctor", failed(engine.KindCorrupt, "copy", "x", nil), notEvenUnchecked},
		{"shadow", failed(engine.KindCorrupt, "copy", "x", nil), "--keep-going leaves it out; " + notEvenUnchecked},
		{"verify restore", failed(engine.KindCorrupt, "copy", "x", nil), "use another backup; sqlite3's .recover may " +
			"save a part of this one"},
		{"backup", failed(engine.KindUnreadable, "open", "x", engine.ErrNamespace), "name it by its path here, or run" +
			" this program there, with nsenter --target PID --mount"},
		{"info", failed(engine.KindUnreadable, "open", "app.db-wal", syscall.EFBIG), runAsOwner},
		{"info", failed(engine.KindUnreadable, "open", "-", fs.ErrNotExist), runAsOwner},
		{"info", failed(engine.KindNotOwner, "open", "empty", engine.ErrPathTooLong), runAsOwner},
		{"info", failed(engine.KindForeignFile, "open", "app.zst", nil), "find out which program put it there before " +
			"you move it away"},
		{"restore", failed(engine.KindTemp, "copy", "x", syscall.EFBIG), "check the directory's permissions and " +
			"the disk"},
		{"info", usagef("x"), ""},
		{"info", &fault{kind: engine.KindTemp, err: fs.ErrNotExist, hint: "own"}, "own"},
	} {
		for _, command := range strings.Fields(c.commands) {
			if got := advice(command, classify(c.err), c.err); got != c.want {
				t.Errorf("%s: %v: %q, want %q", command, c.err, got, c.want)
			}
		}
	}
}

// TestFileFaults: the failures of files that are written, and the hints for --report and --metrics,
// to which the hints about temporary directories do not apply.
func TestFileFaults(t *testing.T) {
	for _, c := range []struct {
		err          error
		kind         engine.Kind
		hint, status string
	}{
		{fs.ErrExist, engine.KindExists, "", ""},
		{syscall.ENOSPC, engine.KindNoSpace, "make room, or choose another destination", "make room, or choose " +
			"another destination"},
		{syscall.EDQUOT, engine.KindNoSpace, "make room, or choose another destination", "make room, or choose " +
			"another destination"},
		{syscall.EIO, engine.KindTemp, "", "check the directory's permissions and the disk"},
		{atomicfile.ErrForeignLink, engine.KindTemp, "", ""},
	} {
		file, status := fileFault(c.err).(*fault), statusFault("status", c.err).(*fault)
		if file.kind != c.kind || status.kind != c.kind || file.hint != c.hint || status.hint != c.status {
			t.Errorf("%v: %s, %q, %q", c.err, file.kind, file.hint, status.hint)
		}
	}
}
