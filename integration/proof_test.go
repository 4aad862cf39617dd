package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// The same database gives the same bytes, in every form, be it in use or not.
func TestSnapshotsAreIdentical(t *testing.T) {
	b := newBench(t)
	b.newDatabase("app.db", 1000)
	live := b.open("app.db", "PRAGMA journal_mode=WAL;", "INSERT INTO t VALUES(NULL, 'in the WAL');")
	for _, form := range []string{"--no-progress", "--zstd"} {
		first := b.run("backup", form, "app.db", "-").exits(0).stdout
		if b.run("snapshot", form, "app.db", "-").exits(0).stdout != first {
			t.Errorf("%s: two streams of one database differ", form)
		}
		b.run("backup", form, "--no-sidecar", "app.db", "copy"+form).exits(0)
	}
	live.Close()
	b.run("backup", "--no-sidecar", "app.db", "again.db").exits(0)
	if !bytes.Equal(b.read("again.db"), b.read("copy--no-progress")) {
		t.Error("two copies of one database differ")
	}
}

// A copy, proven by us and by sha256sum, and brought back; and a copy whose digest is lost.
func TestFileRoundTrip(t *testing.T) {
	b := newBench(t)
	b.newDatabase("a.db", 1000)
	did := b.run("--json", "backup", "a.db", "b.db").exits(0).json()
	digest := fmt.Sprintf("%x", sha256.Sum256(b.read("b.db")))
	did.mustBe(t, answer{"size_bytes": len(b.read("b.db")), "sha256": digest, "stream_sha256": digest, "format": "image", "check": "quick"})
	b.run("--json", "verify", "b.db").exits(0).json().mustBe(t, answer{"sha256": digest, "proven": true})
	b.finish(b.other("sha256sum", "-c", "b.db.sha256")).exits(0)
	b.run("--json", "restore", "b.db", "c.db").exits(0).json().mustBe(t, answer{"sha256": digest, "proven": true, "checked": "quick"})
	if !bytes.Equal(b.read("b.db"), b.read("c.db")) {
		t.Error("c.db is not b.db")
	}
	b.check(os.Remove(b.path("b.db.sha256")))
	b.run("verify", "b.db").exits(8).silent().says("--sha256", "--sidecar", "--unproven")
	b.run("restore", "b.db", "d.db").exits(8)
	b.run("verify", "--sha256", digest, "b.db").exits(0)
	b.run("--json", "verify", "--unproven", "b.db").exits(0).json().mustBe(t, answer{"proven": false})
	if made := names(t, b.dir); !slices.Equal(made, []string{"a.db", "b.db", "c.db"}) {
		t.Errorf("files: %q", made)
	}
}

// A fault is something done to a stream at a position.
type fault struct {
	name string
	do   func(whole []byte, at int) []byte
}

var faults = []fault{
	{"cut", func(whole []byte, at int) []byte { return whole[:at] }},
	{"changed", func(whole []byte, at int) []byte {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 1 << (at % 8)
		return damaged
	}},
	{"inverted", func(whole []byte, at int) []byte {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 0xff
		return damaged
	}},
	{"extended", func(whole []byte, at int) []byte { return slices.Insert(bytes.Clone(whole), at, ' ') }},
	{"followed", func(whole []byte, at int) []byte { return append(bytes.Clone(whole), byte(at)) }},
}

// Every position of a small stream: the way of restore, in this process.
func TestEveryPositionIsProven(t *testing.T) {
	b := newBench(t)
	b.sqlite("app.db", "PRAGMA page_size=512; CREATE TABLE t(x); INSERT INTO t VALUES('hello');")
	whole := []byte(b.run("backup", "app.db", "-").exits(0).stdout)
	if err := b.install(whole); err != nil {
		t.Fatal(err)
	}
	b.check(os.Remove(b.path("new.db")))
	tried := 0
	for at := range whole {
		for _, f := range faults {
			tried++
			if b.install(f.do(whole, at)) == nil {
				t.Fatalf("%s at %d of %d: accepted", f.name, at, len(whole))
			}
		}
	}
	if made := names(t, b.dir); !slices.Equal(made, []string{"app.db"}) {
		t.Errorf("restore left %q", made)
	}
	t.Logf("%d damaged streams of %d bytes refused", tried, len(whole))
}

func (b *bench) install(data []byte) error {
	r := stream.NewReader(bytes.NewReader(data), stream.ReaderOptions{})
	defer r.Close()
	_, err := engine.Install(context.Background(), r, b.path("new.db"), engine.InstallOptions{})
	return err
}

// A sample of the positions of a small and of a large stream, one fault at each, through the program itself.
func TestDamagedStreams(t *testing.T) {
	b := newBench(t)
	b.sqlite("small.db", "PRAGMA page_size=512; CREATE TABLE t(x); INSERT INTO t VALUES('hello');")
	b.newDatabase("large.db", 20_000)
	for _, sample := range []struct {
		name      string
		positions int
	}{{"small.db", 150}, {"large.db", 50}} {
		whole := []byte(b.run("backup", sample.name, "-").exits(0).stdout)
		for i, at := range positions(len(whole), sample.positions) {
			f := faults[i%len(faults)]
			b.mustRefuse(fmt.Sprintf("%s, %s at %d of %d", sample.name, f.name, at, len(whole)), f.do(whole, at))
		}
	}
	if made := names(t, b.dir); !slices.Equal(made, []string{"large.db", "small.db"}) {
		t.Errorf("restore left %q", made)
	}
}

// positions are the ends, both sides of the seam between image and trailer, and others by chance, always the same.
func positions(size, many int) []int {
	seam := size - stream.TrailerSize
	at := []int{0, 1, 99, seam - 1, seam, seam + 1, size - 1}
	chance := rand.New(rand.NewPCG(1, uint64(size)))
	for len(at) < many {
		at = append(at, chance.IntN(size))
	}
	return at
}

func (b *bench) mustRefuse(what string, damaged []byte) {
	b.Helper()
	for _, args := range [][]string{{"verify", "-"}, {"restore", "-", "new.db"}} {
		o := b.feed(damaged, args...)
		if o.code != 8 || o.stdout != "" || !strings.Contains(o.stderr, "error: ") {
			b.Errorf("%s: %s: exit status %d\n%s%s", what, args[0], o.code, o.stdout, o.stderr)
		}
	}
}
