package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// smallDatabase makes a database in a directory of its own.
func smallDatabase(t *testing.T) string {
	t.Helper()
	db := filepath.Join(t.TempDir(), "app.db")
	if out, err := exec.Command(testkit.Tool(t, "sqlite3"), db, "CREATE TABLE t(x);").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return db
}

// TestSidecarFails: a backup whose digest cannot be written leaves nothing.
func TestSidecarFails(t *testing.T) {
	db := smallDatabase(t)
	for _, flags := range []streamFlags{{}, {Zstd: true}} {
		dest := filepath.Join(t.TempDir(), "copy")
		j, err := newJob(newConsole(os.Stdout, os.Stderr), db, dest, datedDest{}, &flags)
		if err != nil {
			t.Fatal(err)
		}
		j.sidecarPath = dest // which is taken by then
		if _, err := j.run(t.Context()); err == nil || classify(err).kind != engine.KindExists {
			t.Errorf("%+v: %v", flags, err)
		}
		if names := testkit.Names(t, filepath.Dir(dest)); len(names) > 0 {
			t.Errorf("%+v: left %q", flags, names)
		}
	}
}

// TestDatedNameIsTakenLate: another backup takes the name of a dated copy while this one is made.
func TestDatedNameIsTakenLate(t *testing.T) {
	db := smallDatabase(t)
	for _, suffix := range []string{"", ".sha256"} {
		to := datedDest{destDir: destDir{dir: t.TempDir()}}
		taken := to.name(db, false)
		j, err := newJob(newConsole(os.Stdout, os.Stderr), db, taken, to, &streamFlags{})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(taken+suffix, []byte("theirs"), 0o600); err != nil {
			t.Fatal(err)
		}
		result, err := j.run(t.Context())
		if err != nil || string(result.Destination) == taken || result.Sidecar != result.Destination+".sha256" {
			t.Errorf("%s: %v, %s with %s", suffix, err, result.Destination, result.Sidecar)
		}
		if got, _ := os.ReadFile(taken + suffix); string(got) != "theirs" || len(testkit.Names(t, to.dir)) != 3 {
			t.Errorf("%s: %q, %q", suffix, got, testkit.Names(t, to.dir))
		}
	}
}

// TestDestinationFaults: the kinds of failure of each kind of destination.
func TestDestinationFaults(t *testing.T) {
	file := job{plan: plan{dest: "a", target: stream.NewFile}}
	unknown := job{plan: plan{dest: "a"}}
	fifo := job{plan: plan{dest: "a", target: stream.FIFO}}
	stdout := job{plan: plan{dest: "-", target: stream.Stdout}}
	closed := job{plan: plan{dest: "-"}}
	shards := job{plan: plan{dest: "a"}, shards: &shardsDest{}}
	for _, c := range []struct {
		err  error
		jobs []job
		want engine.Kind
	}{
		{syscall.EIO, []job{file, unknown, shards}, engine.KindTemp},
		{syscall.ENOSPC, []job{file, unknown, shards}, engine.KindNoSpace},
		{fs.ErrExist, []job{file, unknown, shards}, engine.KindExists},
		{syscall.EIO, []job{fifo, stdout, closed}, kindOutput},
		{stream.ErrBrokenPipe, []job{fifo, stdout}, kindOutput},
		{stream.ErrStalled, []job{file, fifo, stdout}, kindStalled},
		{stream.ErrTerminal, []job{stdout, closed}, kindTerminal},
		{stream.ErrClosed, []job{stdout, closed}, kindOutput},
		{stream.ErrShardsLocked, []job{shards}, kindShardsBusy},
		{stream.ErrNotShards, []job{shards}, kindNotShards},
		{stream.ErrForeignFile, []job{shards}, engine.KindForeignFile},
		{&engine.Error{Kind: engine.KindTemp, Err: syscall.EIO}, []job{stdout, shards, file}, engine.KindTemp},
	} {
		for _, j := range c.jobs {
			err := j.destinationFault(c.err)
			if got := classify(err).kind; got != c.want || !errors.Is(err, c.err) {
				t.Errorf("%s, %d: %v is %s, want %s", j.dest, j.target, c.err, got, c.want)
			}
		}
	}
}
