//go:build unix

package stream

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// TestShardsRemove: a directory goes with its last shard.
func TestShardsRemove(t *testing.T) {
	dir := t.TempDir()
	sink := openShardSink(t, dir)
	sink.stats.Count = shardsPerDir
	last := shardNumber(shardsPerDir)
	for _, err := range []error{
		os.Mkdir(filepath.Join(dir, last.dir()), 0o700),
		os.WriteFile(filepath.Join(dir, last.dir(), last.file()), nil, 0o600),
		sink.remove([]shardNumber{last}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if left := must(os.ReadDir(dir)); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
}

// TestShardsInterrupted: what is half replaced has no trailer.
func TestShardsInterrupted(t *testing.T) {
	dir, image := t.TempDir(), pagesImage(t, 28)
	must(put(t, dir, image, testShard))
	place := must(atomicfile.OpenPlace(dir))
	defer place.Close()
	shards := must(OpenShards(place))
	defer shards.Close()
	sink := must(shards.NewSink(context.Background(), int64(len(image)), testShard))
	defer sink.Close()
	image[len(image)-1]++
	stream, _ := encode(t, image, WriterOptions{})
	for len(stream) > 0 {
		stream = stream[must(sink.Write(stream)):]
	}
	first := filepath.Join(dir, sink.changed[0].String())
	if err := errors.Join(os.Remove(first), os.Mkdir(first, 0o700)); err != nil {
		t.Fatal(err)
	}
	err := sink.Commit()
	if _, exists := os.Lstat(filepath.Join(dir, shardTrailerDir, shardTrailerName)); err == nil || exists == nil {
		t.Errorf("%v, and the trailer: %v", err, exists)
	}
}
