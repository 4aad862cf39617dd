package program

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
	"golang.org/x/sys/unix"
)

// A stage is a point at which a run can be caught, and the command that is run.
type stage struct {
	name string
	args []string
	at   func(*harness.Process) bool
	prep func(b *harness.Bench)
	feed []byte // what arrives on stdin before it stalls
}

// bigRows makes a database large enough for a run to be caught in the middle: some 14 MB.
const bigRows = 40_000

func waiting(p *harness.Process) bool { return len(p.Private()) > 0 && p.Image() == "" }

func copying(p *harness.Process) bool {
	done := harness.Size(p.Image())
	return done > 0 && done < harness.Size(p.Path("app.db"))
}

func checking(p *harness.Process) bool {
	image := p.Image()
	return harness.Size(image) == harness.Size(p.Path("app.db")) &&
		p.Opened(func(path string) bool { return path == image }, true)
}

// sending: the copy no longer has a name.
func sending(p *harness.Process) bool {
	return p.Opened(func(path string) bool { return strings.HasSuffix(path, "/image.db (deleted)") }, false)
}

func folding(p *harness.Process) bool {
	return p.Opened(func(path string) bool { return path == p.Path("wal.db-wal") }, false)
}

func landing(p *harness.Process) bool {
	return p.Opened(func(path string) bool { return strings.Contains(path, "/.sqlite-checkpoint-") }, false)
}

func stages(stream []byte) []stage {
	lock := func(b *harness.Bench) { b.Open("app.db", "BEGIN EXCLUSIVE;") }
	reader := func(b *harness.Bench) {
		b.Open("wal.db", "PRAGMA journal_mode=WAL; CREATE TABLE t(x); BEGIN; SELECT * FROM t;")
		b.SQLite("wal.db", "INSERT INTO t VALUES(1);")
	}
	half := stream[:len(stream)/2]
	return []stage{
		{name: "waiting", args: []string{"backup", "--busy-timeout", "5m", "app.db", "-"}, at: waiting, prep: lock},
		{name: "copying", args: []string{"backup", "--pages-per-step", "1", "app.db", "-"}, at: copying},
		{name: "copying, to a file", args: []string{"snapshot", "--pages-per-step", "1", "app.db", "copy.db"},
			at: copying},
		{name: "checking", args: []string{"backup", "--check", "full", "app.db", "-"}, at: checking},
		{name: "checking, for a file", args: []string{"backup", "--check", "full", "app.db", "copy.db"}, at: checking},
		{name: "sending", args: []string{"backup", "app.db", "-"}, at: sending},
		{name: "sending, compressed", args: []string{"backup", "--zstd", "app.db", "-"}, at: sending},
		{name: "a pipe without a reader", args: []string{"backup", "app.db", "pipe"}, at: sending,
			prep: func(b *harness.Bench) { b.Check(unix.Mkfifo(b.Path("pipe"), 0o600)) }},
		{name: "checkpoint", args: []string{"checkpoint", "-m", "truncate", "--busy-timeout", "5m", "wal.db"},
			at: folding, prep: reader},
		{name: "verify", args: []string{"verify", "--check", "quick", "-"}, at: landing, feed: half},
		{name: "restore", args: []string{"restore", "-", "new.db"}, at: landing, feed: half},
	}
}

// TERM ends every stage at once, and nothing is left behind.
func TestTerminated(t *testing.T) {
	source := harness.NewBench(t)
	source.NewDatabase("app.db", bigRows)
	stream := []byte(source.Run("backup", "app.db", "-").Exits(0).Stdout)
	for _, s := range stages(stream) {
		t.Run(s.name, func(t *testing.T) {
			b := harness.NewBench(t)
			b.Check(os.Link(source.Path("app.db"), b.Path("app.db")))
			if s.prep != nil {
				s.prep(b)
			}
			files, before := harness.Names(t, b.Dir), testkit.TakePicture(t, b.Path("app.db"))
			p := caught(b, s)
			p.Signal(syscall.SIGTERM)
			p.Signal(syscall.SIGCONT)
			p.Wait().Exits(128 + int(syscall.SIGTERM)).Soon().Says("interrupted by SIGTERM")
			before.MustMatch(t, b.Path("app.db"))
			if left := harness.Names(t, b.Dir); len(left) != len(files) {
				t.Errorf("left in the directory: %q, before: %q", left, files)
			}
		})
	}
}

// caught starts the stage's run until one was stopped at the right moment.
func caught(b *harness.Bench, s stage) *harness.Process {
	b.Helper()
	for range 50 {
		cmd := b.Command(s.args...)
		ours, theirs, err := os.Pipe() // nobody reads it
		b.Check(err)
		b.Cleanup(func() { ours.Close() })
		cmd.Stdout = theirs
		p := b.Launch(cmd)
		theirs.Close()
		go p.In.Write(s.feed)
		if p.Freeze(s.at) {
			return p
		}
		p.Cmd.Process.Kill()
		<-p.Ended
		for _, dir := range p.Private() {
			b.Check(os.RemoveAll(dir))
		}
		os.Remove(b.Path("copy.db"))
		os.Remove(b.Path("copy.db.sha256"))
	}
	b.Fatalf("never caught at %s", s.name)
	return nil
}

// Nothing can clean up when SIGKILL arrives. The next run in the same place does it, but not while
// a run may still be alive.
func TestKilled(t *testing.T) {
	source := harness.NewBench(t)
	source.NewDatabase("app.db", bigRows)
	for _, s := range stages(nil)[1:3] {
		t.Run(s.name, func(t *testing.T) {
			b := harness.NewBench(t)
			b.Check(os.Link(source.Path("app.db"), b.Path("app.db")))
			before := testkit.TakePicture(t, b.Path("app.db"))
			p := caught(b, s)
			p.Signal(syscall.SIGKILL)
			p.Wait().Exits(128 + int(syscall.SIGKILL))
			before.MustMatch(t, b.Path("app.db"))
			left := b.Private()
			if len(left) == 0 {
				t.Fatal("nothing was left to be swept")
			}
			sweep(b, s.args[len(s.args)-1])
		})
	}
}

// sweep backs up again to the same place, where a killed run left something.
func sweep(b *harness.Bench, dest string) {
	b.Helper()
	b.Run("backup", "app.db", dest).Exits(0)
	if still := b.Private(); len(still) != 0 {
		b.Errorf("not swept: %q", still)
	}
}

// A reader that leaves early is a failure, not a shorter success.
func TestReaderLeaves(t *testing.T) {
	b := harness.NewBench(t)
	b.NewDatabase("app.db", 3000)
	before := testkit.TakePicture(t, b.Path("app.db"))
	o := b.Bash(`set +e; sqlite-checkpoint backup app.db - | head -c 1000 | wc -c; echo "${PIPESTATUS[0]}"`).Exits(0)
	if o.Stdout != "1000\n7\n" {
		t.Errorf("%q, want 1000 bytes and exit status 7", o.Stdout)
	}
	b.Bash(`sqlite-checkpoint backup app.db - >/dev/full`).Exits(7)
	b.Bash(`sqlite-checkpoint backup app.db - >&-`).Exits(7)
	b.Finish(b.Other(harness.Tool(t, "script"), "-qec", "sqlite-checkpoint backup app.db - 2>error",
		"/dev/null")).Exits(2)
	if message := b.Read("error"); len(message) == 0 {
		t.Error("a terminal is refused silently")
	}
	before.MustMatch(t, b.Path("app.db"))
}

// Twenty backups at once, with one temp directory and one destination directory, as with the cron
// jobs of different users.
func TestConcurrentBackups(t *testing.T) {
	const each = 20
	b := harness.NewBench(t)
	b.NewDatabase("app.db", 3000)
	b.SQLite("app.db", "PRAGMA journal_mode=WAL;")
	live := b.Open("app.db", "INSERT INTO t VALUES(NULL, 'only in the WAL');")
	defer live.Close()
	b.Check(os.Mkdir(b.Path("copies"), 0o755))
	want := b.Run("backup", "app.db", "-").Exits(0).Stdout
	var streams, files []*harness.Process
	for i := range each {
		streams = append(streams, b.Start("backup", "app.db", "-"))
		files = append(files, b.Start("backup", "app.db", filepath.Join("copies", string(rune('a'+i)))))
	}
	for i := range each {
		if got := streams[i].Wait().Exits(0).Stdout; got != want {
			t.Errorf("stream %d is different", i)
		}
		files[i].Wait().Exits(0)
	}
	if found := len(harness.Names(t, b.Path("copies"))); found != 2*each {
		t.Errorf("%d files, want %d copies and as many digests", found, each)
	}
	b.Bash(`cd copies && cat *.sha256 | sha256sum --quiet -c &&
		[ "$(cut -c1-64 *.sha256 | sort -u | wc -l)" = 1 ]`).Exits(0)
}
