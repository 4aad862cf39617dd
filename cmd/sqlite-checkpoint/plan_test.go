package main

import (
	"os"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

func TestResolve(t *testing.T) {
	for _, c := range []struct {
		name    string
		flags   streamFlags
		target  stream.Target
		dated   bool
		sidecar string
		fails   bool
	}{
		{name: "plain file", target: stream.NewFile, sidecar: "b.db.sha256"},
		{name: "plain file without", flags: streamFlags{NoSidecar: true}, target: stream.NewFile},
		{name: "plain file, elsewhere", flags: streamFlags{Sidecar: "sum"}, target: stream.NewFile, sidecar: "sum"},
		{name: "compressed file", flags: streamFlags{Zstd: true}, target: stream.NewFile},
		{name: "dated and compressed", flags: streamFlags{Zstd: true}, target: stream.NewFile, dated: true,
			sidecar: "b.db.sha256"},
		{name: "stdout", target: stream.Stdout},
		{name: "FIFO", flags: streamFlags{Sidecar: "sum"}, target: stream.FIFO, sidecar: "sum"},
		{name: "no proof", flags: streamFlags{NoTrailer: true}, target: stream.Stdout, fails: true},
		{name: "no proof, compressed", flags: streamFlags{NoTrailer: true, Zstd: true}, target: stream.NewFile,
			fails: true},
		{name: "no trailer", flags: streamFlags{NoTrailer: true, Sidecar: "sum"}, target: stream.Stdout,
			sidecar: "sum"},
		{name: "level", flags: streamFlags{Zstd: true, Level: "23"}, target: stream.Stdout, fails: true},
	} {
		p := plan{streamFlags: &c.flags, source: "a.db", dest: "b.db", target: c.target}
		if err := p.resolve(c.dated); (err != nil) != c.fails || err == nil && p.sidecarPath != c.sidecar {
			t.Errorf("%s: sidecar %q, %v", c.name, p.sidecarPath, err)
		}
	}
}

func TestSnapshotOptions(t *testing.T) {
	flags := streamFlags{Check: engine.CheckFull, PagesPerStep: 7, BusyTimeout: 0, Tmpdir: "tmp"}
	want := engine.SnapshotOptions{Check: engine.CheckFull, PagesPerStep: 7, BusyTimeout: -1, TempDir: "tmp"}
	for _, c := range []struct {
		name   string
		change func(*plan, *streamFlags, *engine.SnapshotOptions)
	}{
		{"stream", func(*plan, *streamFlags, *engine.SnapshotOptions) {}},
		{"busy timeout", func(_ *plan, f *streamFlags, o *engine.SnapshotOptions) {
			f.BusyTimeout, o.BusyTimeout = time.Second, time.Second
		}},
		{"image", func(p *plan, _ *streamFlags, o *engine.SnapshotOptions) {
			p.target, o.Destination = stream.NewFile, "to/b.db"
		}},
		{"compressed", func(p *plan, f *streamFlags, o *engine.SnapshotOptions) {
			p.target, f.Zstd, f.Tmpdir, o.TempDir = stream.NewFile, true, "", "to"
		}},
		{"compressed, by way of", func(p *plan, f *streamFlags, _ *engine.SnapshotOptions) {
			p.target,
				f.Zstd = stream.NewFile, true
		}},
	} {
		f, o := flags, want
		p := plan{streamFlags: &f, dest: "to/b.db", target: stream.Stdout}
		c.change(&p, &f, &o)
		if got := p.snapshotOptions(nil); got.Check != o.Check || got.PagesPerStep != o.PagesPerStep ||
			got.BusyTimeout != o.BusyTimeout ||
			got.TempDir != o.TempDir || got.Destination != o.Destination {
			t.Errorf("%s: %+v, want %+v", c.name, got, o)
		}
	}
}

// TestDatedNameIsTaken: another backup takes the name of a dated copy while it is planned.
func TestDatedNameIsTaken(t *testing.T) {
	to := datedDest{destDir: destDir{dir: t.TempDir()}}
	taken := to.name("app.db", false)
	for _, name := range []string{taken, taken + ".sha256"} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := newJob(newConsole(os.Stdout, os.Stderr), "plan_test.go", taken, to, &streamFlags{})
		if err != nil || j.dest == taken {
			t.Errorf("%s: %v", name, err)
		}
		os.Remove(name)
	}
}
