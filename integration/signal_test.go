package integration

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/picture"
	"golang.org/x/sys/unix"
)

// A stage is a point at which a run can be caught, and what runs there.
type stage struct {
	name string
	args []string
	at   func(*process) bool
	prep func(b *bench)
	feed []byte // what arrives on stdin before it stalls
}

// bigRows makes a database large enough for a run to be caught in the middle: some 14 MB.
const bigRows = 40_000

func waiting(p *process) bool { return len(p.private()) > 0 && p.image() == "" }

func copying(p *process) bool {
	done := size(p.image())
	return done > 0 && done < size(p.path("app.db"))
}

func checking(p *process) bool {
	image := p.image()
	return size(image) == size(p.path("app.db")) && p.opened(func(path string) bool { return path == image }, true)
}

// sending: the copy has no name any more.
func sending(p *process) bool {
	return p.opened(func(path string) bool { return strings.HasSuffix(path, "/image.db (deleted)") }, false)
}

func folding(p *process) bool {
	return p.opened(func(path string) bool { return path == p.path("wal.db-wal") }, false)
}

func landing(p *process) bool {
	return p.opened(func(path string) bool { return strings.Contains(path, "/.sqlite-checkpoint-") }, false)
}

func stages(stream []byte) []stage {
	lock := func(b *bench) { b.open("app.db", "BEGIN EXCLUSIVE;") }
	reader := func(b *bench) {
		b.open("wal.db", "PRAGMA journal_mode=WAL; CREATE TABLE t(x); BEGIN; SELECT * FROM t;")
		b.sqlite("wal.db", "INSERT INTO t VALUES(1);")
	}
	half := stream[:len(stream)/2]
	return []stage{
		{name: "waiting", args: []string{"backup", "--busy-timeout", "5m", "app.db", "-"}, at: waiting, prep: lock},
		{name: "copying", args: []string{"backup", "--pages-per-step", "1", "app.db", "-"}, at: copying},
		{name: "copying, to a file", args: []string{"snapshot", "--pages-per-step", "1", "app.db", "copy.db"}, at: copying},
		{name: "checking", args: []string{"backup", "--check", "full", "app.db", "-"}, at: checking},
		{name: "checking, for a file", args: []string{"backup", "--check", "full", "app.db", "copy.db"}, at: checking},
		{name: "sending", args: []string{"backup", "app.db", "-"}, at: sending},
		{name: "sending, compressed", args: []string{"backup", "--zstd", "app.db", "-"}, at: sending},
		{name: "a pipe without a reader", args: []string{"backup", "app.db", "pipe"}, at: sending, prep: func(b *bench) { b.check(unix.Mkfifo(b.path("pipe"), 0o600)) }},
		{name: "checkpoint", args: []string{"checkpoint", "-m", "truncate", "--busy-timeout", "5m", "wal.db"}, at: folding, prep: reader},
		{name: "verify", args: []string{"verify", "--check", "quick", "-"}, at: landing, feed: half},
		{name: "restore", args: []string{"restore", "-", "new.db"}, at: landing, feed: half},
	}
}

// TERM ends every stage at once, and nothing is left of it.
func TestTerminated(t *testing.T) {
	source := newBench(t)
	source.newDatabase("app.db", bigRows)
	stream := []byte(source.run("backup", "app.db", "-").exits(0).stdout)
	for _, s := range stages(stream) {
		t.Run(s.name, func(t *testing.T) {
			b := newBench(t)
			b.check(os.Link(source.path("app.db"), b.path("app.db")))
			if s.prep != nil {
				s.prep(b)
			}
			files, before := names(t, b.dir), picture.Take(t, b.path("app.db"))
			p := b.caught(s)
			p.signal(syscall.SIGTERM)
			p.signal(syscall.SIGCONT)
			p.wait().exits(128 + int(syscall.SIGTERM)).soon().says("interrupted by SIGTERM")
			before.MustMatch(t, b.path("app.db"))
			if left := names(t, b.dir); len(left) != len(files) {
				t.Errorf("left in the directory: %q, before: %q", left, files)
			}
		})
	}
}

// caught starts the stage's run until one was stopped at the right moment.
func (b *bench) caught(s stage) *process {
	b.Helper()
	for range 50 {
		cmd := b.command(s.args...)
		ours, theirs, err := os.Pipe() // nobody reads it
		b.check(err)
		b.Cleanup(func() { ours.Close() })
		cmd.Stdout = theirs
		p := b.launch(cmd)
		theirs.Close()
		go p.in.Write(s.feed)
		if p.freeze(s.at) {
			return p
		}
		p.cmd.Process.Kill()
		<-p.ended
		for _, dir := range p.private() {
			b.check(os.RemoveAll(dir))
		}
		os.Remove(b.path("copy.db"))
		os.Remove(b.path("copy.db.sha256"))
	}
	b.Fatalf("never caught at %s", s.name)
	return nil
}

// SIGKILL cannot be cleaned up after; the next run in the same place does it, but not while the dead could still be the living.
func TestKilled(t *testing.T) {
	source := newBench(t)
	source.newDatabase("app.db", bigRows)
	for _, s := range stages(nil)[1:3] {
		t.Run(s.name, func(t *testing.T) {
			b := newBench(t)
			b.check(os.Link(source.path("app.db"), b.path("app.db")))
			before := picture.Take(t, b.path("app.db"))
			p := b.caught(s)
			p.signal(syscall.SIGKILL)
			p.wait().exits(128 + int(syscall.SIGKILL))
			before.MustMatch(t, b.path("app.db"))
			left := b.private()
			if len(left) == 0 {
				t.Fatal("nothing was left to be swept")
			}
			b.sweep(s.args[len(s.args)-1])
		})
	}
}

// sweep backs up again to the same place, where a killed run left something.
func (b *bench) sweep(dest string) {
	b.Helper()
	b.run("backup", "app.db", dest).exits(0)
	if still := b.private(); len(still) != 0 {
		b.Errorf("not swept: %q", still)
	}
}

// A reader that leaves early is a failure, not a shorter success.
func TestReaderLeaves(t *testing.T) {
	b := newBench(t)
	b.newDatabase("app.db", 3000)
	before := picture.Take(t, b.path("app.db"))
	o := b.bash(`set +e; sqlite-checkpoint backup app.db - | head -c 1000 | wc -c; echo "${PIPESTATUS[0]}"`).exits(0)
	if o.stdout != "1000\n7\n" {
		t.Errorf("%q, want 1000 bytes and exit status 7", o.stdout)
	}
	b.bash(`sqlite-checkpoint backup app.db - >/dev/full`).exits(7)
	b.bash(`sqlite-checkpoint backup app.db - >&-`).exits(7)
	b.finish(b.other(tool(t, "script"), "-qec", "sqlite-checkpoint backup app.db - 2>error", "/dev/null")).exits(2)
	if message := b.read("error"); len(message) == 0 {
		t.Error("a terminal is refused without a word")
	}
	before.MustMatch(t, b.path("app.db"))
}

// Twenty at once, in one temp directory and into one directory, as different users' cron jobs are.
func TestConcurrentBackups(t *testing.T) {
	const each = 20
	b := newBench(t)
	b.newDatabase("app.db", 3000)
	b.sqlite("app.db", "PRAGMA journal_mode=WAL;")
	live := b.open("app.db", "INSERT INTO t VALUES(NULL, 'only in the WAL');")
	defer live.Close()
	b.check(os.Mkdir(b.path("copies"), 0o755))
	want := b.run("backup", "app.db", "-").exits(0).stdout
	var streams, files []*process
	for i := range each {
		streams = append(streams, b.start("backup", "app.db", "-"))
		files = append(files, b.start("backup", "app.db", filepath.Join("copies", string(rune('a'+i)))))
	}
	for i := range each {
		if got := streams[i].wait().exits(0).stdout; got != want {
			t.Errorf("stream %d is different", i)
		}
		files[i].wait().exits(0)
	}
	if found := len(names(t, b.path("copies"))); found != 2*each {
		t.Errorf("%d files, want %d copies and as many digests", found, each)
	}
	b.bash(`cd copies && cat *.sha256 | sha256sum --quiet -c && [ "$(cut -c1-64 *.sha256 | sort -u | wc -l)" = 1 ]`).exits(0)
}
