package program

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// oddNames are names of databases that could do harm in a line of text.
func oddNames() []string {
	const longest = 255 // bytes, in every file system that matters
	noise := make([]byte, longest)
	for i := range noise {
		if noise[i] = byte(rand.IntN(256)); noise[i] == 0 || noise[i] == '/' {
			noise[i] = '\r'
		}
	}
	return []string{
		"carriage\rreturn", "two\nlines\n", "\x1b[2J\x1b[31mclear\a", "tab\tbell\a\b\v", "\xff\xfe not UTF-8",
		"\u202egnol\u2028", "-", " ", "\\n", `"}`,
		strings.Repeat("x", longest), strings.Repeat("\r", longest), strings.Repeat("\n", longest),
		strings.Repeat("\x01", longest), strings.Repeat("é", longest/2),
		string(noise),
	}
}

// Whatever the name of the database, and whatever happens, stderr has short lines only: see
// checkLines in harness.
func TestStderrWithOddNames(t *testing.T) {
	b := harness.NewBench(t)
	b.NewDatabase("good", 10)
	b.NewCorrupt("corrupt")
	b.Write("text", []byte("no database\n"))
	for _, name := range oddNames() {
		for _, source := range []string{"good", "corrupt", "text", ""} {
			if source != "" {
				b.Check(os.Link(b.Path(source), b.Path(name)))
			}
			for _, args := range [][]string{
				{"backup", "--", name, "-"}, {"--json", "snapshot", "--", name, "-"}, {"--json", "info", "--", name},
				{"verify", "--", name},
				{"backup", "--", "good", name + "/" + name}, {"--json", "pipe", "--", "good", name},
				{"--json", "--" + name}, {"restore", "good", "--", name},
			} {
				o := b.Run(args...)
				if good := source == "good" && len(name) < 250 && args[len(args)-1] == "-" &&
					name != "-"; good != (o.Code == 0) && good {
					t.Errorf("%q: exit status %d\n%s", args, o.Code, o.Stderr)
				}
				if o.Code != 0 && o.Stderr == "" {
					t.Errorf("%q fails silently", args)
				}
			}
			os.Remove(b.Path(name))
		}
	}
}

// sentRows make a database of some 7 MB: the program is still sending when it is hit.
const sentRows = 20_000

// However backup fails under restic, restic ends, fails, and has no snapshot.
func TestResticNeverHangs(t *testing.T) {
	restic := harness.Tool(t, "bin/restic")
	source := harness.NewBench(t)
	source.NewDatabase("app.db", sentRows)
	for name, c := range map[string]struct {
		prep func(b *harness.Bench)
		wrap []string // what runs us
		args []string
		hit  func(pid int) error // in the middle of the stream
		late bool                // what hits may take its time, and the stream be complete by then
	}{
		"usage":             {args: []string{"backup", "--no-such-flag", "app.db", "-"}},
		"usage, long":       {args: []string{"backup", "--" + strings.Repeat("x", 100_000), "app.db", "-"}},
		"missing":           {args: []string{"backup", "missing.db", "-"}},
		"long name missing": {args: []string{"--json", "backup", strings.Repeat("\r", 4000), "-"}},
		"no database": {prep: func(b *harness.Bench) { b.Write("text", []byte("text\n")) },
			args: []string{"snapshot", "text", "-"}},
		"directory": {args: []string{"backup", ".", "-"}},
		"locked": {
			prep: func(b *harness.Bench) {
				b.SQLite("locked.db", "CREATE TABLE t(x);")
				b.Open("locked.db", "BEGIN EXCLUSIVE;")
			},
			args: []string{"backup", "--busy-timeout", "100ms", "locked.db", "-"},
		},
		"corrupt": {prep: func(b *harness.Bench) { b.NewCorrupt("corrupt.db") },
			args: []string{"--json", "backup", "corrupt.db", "-"}},
		"check incomplete": {prep: func(b *harness.Bench) { b.SQLite("c.db", "CREATE TABLE t(x);"); b.Collate("c.db") },
			args: []string{"backup", "--check", "full", "c.db", "-"}},
		"no tmpdir":       {args: []string{"backup", "--tmpdir", "missing", "app.db", "-"}},
		"unusable tmpdir": {args: []string{"backup", "--tmpdir", "/proc/self", "app.db", "-"}},
		"no space": {wrap: []string{harness.Tool(t, "prlimit"), "--fsize=1000000"},
			args: []string{"backup", "app.db", "-"}},
		"sidecar exists": {prep: func(b *harness.Bench) { b.Write("s", nil) }, args: []string{"backup", "--sidecar",
			"s", "app.db", "-"}},
		"report":         {args: []string{"--report", "missing/report", "backup", "app.db", "-"}},
		"killed":         {args: []string{"backup", "app.db", "-"}, hit: harness.Send(syscall.SIGKILL)},
		"terminated":     {args: []string{"backup", "app.db", "-"}, hit: harness.Send(syscall.SIGTERM), late: true},
		"copy cut":       {args: []string{"backup", "app.db", "-"}, hit: cutCopy},
		"copy cut, zstd": {args: []string{"--json", "backup", "--zstd", "app.db", "-"}, hit: cutCopy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 50 {
				b := harness.NewBench(t)
				b.Check(os.Link(source.Path("app.db"), b.Path("app.db")))
				if c.prep != nil {
					c.prep(b)
				}
				b.ResticRepository()
				argv := slices.Concat([]string{restic, "backup", "--stdin-filename", "app.db", "--stdin-from-command",
					"--"}, c.wrap, []string{harness.Binary}, c.args)
				if underRestic(b, argv, c.hit, c.late) {
					return
				}
			}
			t.Fatal("never hit in the middle of the stream")
		})
	}
}

// underRestic runs restic, which runs the program, and reports whether that got as far as it
// should.
func underRestic(b *harness.Bench, argv []string, hit func(pid int) error, late bool) bool {
	b.Helper()
	mark := fmt.Sprintf("SQLITE_CHECKPOINT_TEST_MARK=%x", rand.Uint64())
	cmd := b.Other(argv...)
	cmd.Env = append(cmd.Env, mark)
	p := b.Launch(cmd)
	timer := time.AfterFunc(time.Minute, func() {
		b.Errorf("%q hangs", argv)
		cmd.Process.Kill()
	})
	defer timer.Stop()
	if hit != nil && !b.Hunt(harness.Victim{Program: harness.Binary, Hit: hit}, mark, p.Ended) {
		<-p.Ended
		return false
	}
	<-p.Ended
	if code := harness.Status(cmd.ProcessState); code == 0 && late {
		return false
	} else if code == 0 {
		b.Errorf("%q: exit status 0", argv)
	}
	if strings.Contains(p.Stderr.String(), "\r") {
		b.Errorf("carriage return on stderr: %q", p.Stderr.String())
	}
	harness.Eventually(b, "no process survives", func() bool { return len(harness.Marked(mark)) == 0 })
	var snapshots []any
	b.Check(json.Unmarshal([]byte(b.Finish(b.Other(argv[0], "snapshots", "--json", "--no-lock")).Exits(0).Stdout),
		&snapshots))
	if len(snapshots) > 0 {
		b.Errorf("%q: there is a snapshot: %v\n%s", argv, snapshots, p.Stderr.String())
	}
	return true
}
