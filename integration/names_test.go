package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/picture"
)

// What is no database gives one clear error, at once.
func TestNotADatabase(t *testing.T) {
	b := newBench(t)
	noise := make([]byte, 8192)
	for i := range noise {
		noise[i] = byte(i*i>>3 + i)
	}
	b.write("encrypted.db", noise)
	b.write("text", []byte("hello\n"))
	b.write("empty", nil)
	b.bash(`mkdir directory && mkfifo fifo && ln -s nowhere dangling`).exits(0)
	before, out := picture.Take(t, b.dir), filepath.Join(b.temp, "copy.db")
	for _, source := range []string{"missing", "directory", "fifo", "/dev/null", "empty", "text", "encrypted.db", "dangling", "missing/app.db"} {
		for _, args := range [][]string{{"backup", source, "-"}, {"snapshot", source, out}, {"checkpoint", source}, {"info", source}} {
			o := b.run(args...).exits(3).silent().soon().says("sqlite-checkpoint: error: ", source)
			if lines := countLines(o.stderr); lines > 2 { // the second one is the hint
				t.Errorf("%q: %d lines on stderr:\n%s", args, lines, o.stderr)
			}
		}
	}
	before.MustMatch(t, b.dir)
	b.run("backup", "encrypted.db", "-").says("encrypted")
}

// Every name is a name, never a URI or a flag.
func TestOddNames(t *testing.T) {
	odd := []string{"a b", "what?", "#1", "100%41", "a&b=c;d", "new\nline", "-dash", "--json", ":memory:", "file:x?mode=rwc", "é", "'quote\""}
	b := newBench(t)
	for i, name := range odd {
		s := b.open(b.path(name), "PRAGMA journal_mode=WAL;", fmt.Sprintf("CREATE TABLE t(x); INSERT INTO t VALUES(%d);", i))
		b.roundTrip(name, fmt.Sprint(i))
		s.Close()
	}
	for _, name := range []string{":memory:x", "file:y?mode=rwc", "file:y"} {
		b.run("backup", name, "-").exits(3)
	}
	if got := len(names(t, b.dir)); got != len(odd) {
		t.Errorf("%d files, want %d: %q", got, len(odd), names(t, b.dir))
	}
}

// roundTrip backs up one odd name to another, proves it in every way, restores it to a third, and clears away.
func (b *bench) roundTrip(name, row string) {
	b.Helper()
	copied, restored := name+".copy", name+".restored"
	b.run("--json", "backup", "--", name, copied).exits(0).json().mustBe(b, answer{"source": name, "destination": copied})
	b.run("--json", "info", "--", name).exits(0).json().mustBe(b, answer{"path": name, "held": "yes"})
	b.run("verify", "--", copied).exits(0)
	b.finish(b.other("sha256sum", "-c", "--", copied+".sha256")).exits(0)
	b.run("restore", "--", copied, restored).exits(0)
	if got := b.sqlite(b.path(restored), "SELECT x FROM t;"); got != row {
		b.Errorf("%q: restored %q, want %q", name, got, row)
	}
	for _, made := range []string{copied, copied + ".sha256", restored} {
		b.check(os.Remove(b.path(made)))
	}
	for _, made := range []string{"-wal", "-shm"} { // the restored copy is in WAL mode, and was read
		os.Remove(b.path(restored + made))
	}
}
