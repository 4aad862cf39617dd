package stream

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// TestShardsUnsynced: every directory in which names of shards change is synced, whichever it is.
func TestShardsUnsynced(t *testing.T) {
	numbers := []shardNumber{0, shardsPerDir}
	for _, n := range numbers {
		dir := t.TempDir()
		sink := openShardSink(t, dir)
		sink.changed = numbers
		err := sink.makeDirs()
		for _, n := range numbers {
			err = errors.Join(err, sink.write(atomicfile.PartName(int64(n)), nil))
		}
		if err != nil {
			t.Fatal(err)
		}
		testkit.WhileUnreadable(t, filepath.Join(dir, n.dir()), func() { err = sink.place() })
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("new shards: without a sync of %s: %v", n.dir(), err)
		}
		for _, n := range numbers {
			if err := os.WriteFile(filepath.Join(dir, n.String()), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		testkit.WhileUnreadable(t, filepath.Join(dir, n.dir()), func() { err = sink.remove(numbers) })
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("removed shards: without a sync of %s: %v", n.dir(), err)
		}
	}
}

// TestShardsTrailerUnsynced: no shard changes before it is durable that the old trailer is gone.
func TestShardsTrailerUnsynced(t *testing.T) {
	dir := t.TempDir()
	sink := openShardSink(t, dir)
	trailer := filepath.Join(dir, shardTrailerDir, shardTrailerName)
	err := errors.Join(os.Mkdir(filepath.Dir(trailer), 0o700), os.WriteFile(trailer, nil, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	testkit.WhileUnreadable(t, filepath.Dir(trailer), func() { _, err = sink.begin(true) })
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("shards may change: %v", err)
	}
}
