//go:build unix

package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

const testShard = MinShardSize

// put writes an image to the directory of shards dir.
func put(t testing.TB, dir string, image []byte, shardSize int64) (ShardStats, error) {
	t.Helper()
	place := must(atomicfile.OpenPlace(dir))
	defer place.Close()
	shards, err := OpenShards(place)
	if err != nil {
		return ShardStats{}, err
	}
	defer shards.Close()
	sink, err := shards.NewSink(context.Background(), int64(len(image)), shardSize)
	if err != nil {
		return ShardStats{}, err
	}
	defer sink.Close()
	stream, _ := encode(t, image, WriterOptions{Check: "quick"})
	for step := 1000; len(stream) > 0; step = step%9000 + 777 {
		n, err := sink.Write(stream[:min(step, len(stream))])
		if err != nil {
			return ShardStats{}, err
		}
		stream = stream[n:]
	}
	err = errors.Join(sink.Commit(), sink.Close())
	return sink.Stats(), err
}

// take reads an image from a directory of shards.
func take(t testing.TB, dir string, opts ReaderOptions) ([]byte, error) {
	t.Helper()
	place := must(atomicfile.OpenPlace(dir))
	defer place.Close()
	src, err := NewShardReader(place)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	image, _, err := decode(src, opts)
	return image, err
}

// states returns the inodes and times of everything in a directory.
func states(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var stat unix.Stat_t
		if err := unix.Lstat(path, &stat); err != nil {
			return err
		}
		all[strings.TrimPrefix(path, dir)] = fmt.Sprint(stat.Ino, stat.Mtim, stat.Ctim, stat.Mode)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// pagesImage is an image of so many pages of 512 bytes, which need not fill the last shard.
func pagesImage(t testing.TB, pages int) []byte { return testImage(t, 512, pages, noise) }

// TestShards follows a database that grows, changes and shrinks, over the edges of shards and of
// directories.
func TestShards(t *testing.T) {
	const perShard = testShard / 512
	dir := t.TempDir()
	large := testImage(t, testShard, 102, noise)
	changed := bytes.Clone(large)
	changed[testShard*3+1000]++
	changed[len(changed)-1]++
	for _, step := range []struct {
		name  string
		image []byte
		want  ShardStats
	}{
		{"first", pagesImage(t, 1), ShardStats{Count: 1, Written: 1}},
		{"a shard exactly", pagesImage(t, perShard), ShardStats{Count: 1, Written: 1}},
		{"a page more", pagesImage(t, perShard+1), ShardStats{Count: 2, Written: 2}}, // the header, too
		{"two directories", large, ShardStats{Count: 102, Written: 102}},
		{"two changes", changed, ShardStats{Count: 102, Written: 2}},
		{"less", testImage(t, testShard, 2, noise), ShardStats{Count: 2, Written: 2, Removed: 100}},
	} {
		got, err := put(t, dir, step.image, testShard)
		step.want.Size, got.WrittenBytes = testShard, 0
		if err != nil || got != step.want {
			t.Fatalf("%s: %+v, %v, want %+v", step.name, got, err, step.want)
		}
		if image, err := take(t, dir, ReaderOptions{}); err != nil || !bytes.Equal(image, step.image) {
			t.Fatalf("%s: %v, or another image", step.name, err)
		}
		before := states(t, dir)
		if again, err := put(t, dir, step.image, testShard); err != nil ||
			again.Written+again.Removed+again.WrittenBytes > 0 {
			t.Errorf("%s: the same again: %+v, %v", step.name, again, err)
		}
		for path, state := range states(t, dir) {
			if before[path] != state {
				t.Errorf("%s: %s was touched by a run without a change", step.name, path)
			}
		}
	}
	if names := must(os.ReadDir(dir)); len(names) != 2 {
		t.Errorf("there are %v", names)
	}
}

// TestShardsUntouched: what has not changed keeps inode and times if something else does.
func TestShardsUntouched(t *testing.T) {
	dir, image := t.TempDir(), pagesImage(t, 64)
	must(put(t, dir, image, testShard))
	before := states(t, dir)
	image[testShard*5+7]++
	must(put(t, dir, image, testShard))
	for path, state := range states(t, dir) {
		changes := path == "" || path == "/000000000" || path == "/000000000/05" ||
			strings.HasPrefix(path, "/"+shardTrailerDir)
		if (before[path] != state) != changes {
			t.Errorf("%s was touched: %v, want %v", path, !changes, changes)
		}
	}
}

// TestShardsRepair: another run repairs any damage.
func TestShardsRepair(t *testing.T) {
	half, whole := pagesImage(t, 28), pagesImage(t, 32) // the last of four shards
	for name, damage := range map[string]func(dir string) error{
		"trailer missing": func(dir string) error { return os.Remove(dir + "/999999999/99") },
		"trailer damaged": func(dir string) error {
			return os.WriteFile(dir+"/999999999/99", nil,
				0)
		},
		"shard missing":     func(dir string) error { return os.Remove(dir + "/000000000/01") },
		"shard cut":         func(dir string) error { return os.Truncate(dir+"/000000000/02", 100) },
		"shard extended":    func(dir string) error { return os.Truncate(dir+"/000000000/03", testShard+1) },
		"shards swapped":    func(dir string) error { return swapFiles(dir+"/000000000/01", dir+"/000000000/02") },
		"one too many":      func(dir string) error { return os.WriteFile(dir+"/000000000/04", nil, 0o600) },
		"superfluous":       func(dir string) error { return os.WriteFile(dir+"/000000000/77", nil, 0o600) },
		"directory missing": func(dir string) error { return os.RemoveAll(dir + "/000000000") },
	} {
		for _, image := range [][]byte{half, whole} {
			dir := t.TempDir()
			must(put(t, dir, image, testShard))
			if err := damage(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := take(t, dir, ReaderOptions{}); err == nil {
				t.Errorf("%s: read as whole", name)
			}
			must(put(t, dir, image, testShard))
			if got, err := take(t, dir, ReaderOptions{}); err != nil || !bytes.Equal(got, image) {
				t.Errorf("%s: after another run: %v", name, err)
			}
		}
	}
}

// TestShardsSweep: even a run that changes nothing removes what a killed one has left behind.
func TestShardsSweep(t *testing.T) {
	dir, image := t.TempDir(), pagesImage(t, 1)
	must(put(t, dir, image, testShard))
	left := filepath.Join(dir, atomicfile.Prefix+strings.Repeat("0", 24))
	if err := os.Mkdir(left, 0o700); err != nil {
		t.Fatal(err)
	}
	must(put(t, dir, image, testShard))
	if _, err := os.Lstat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

func swapFiles(a, b string) error {
	return errors.Join(os.Rename(a, a+"x"), os.Rename(b, a), os.Rename(a+"x", b))
}

// TestShardsForeign: what may belong to others is left alone.
func TestShardsForeign(t *testing.T) {
	image := pagesImage(t, 28)
	for _, c := range []struct {
		name  string
		plant func(dir string) error
		want  error
		early bool // before the first run
	}{
		{"a file in an empty directory", func(dir string) error { return os.WriteFile(dir+"/000000000", nil, 0) },
			ErrNotShards, true},
		{"shards of nobody", func(dir string) error { return os.Mkdir(dir+"/000000000", 0o700) }, ErrNotShards, true},
		{"hidden file", func(dir string) error { return os.WriteFile(dir+"/.stfolder", nil, 0) }, nil, true},
		{"lost+found", func(dir string) error { return os.Mkdir(dir+"/lost+found", 0o700) }, nil, true},
		{"file beside", func(dir string) error { return os.WriteFile(dir+"/README", nil, 0) }, nil, false},
		{"directory beside", func(dir string) error { return os.Mkdir(dir+"/old", 0o700) }, ErrForeignFile, false},
		{"link beside", func(dir string) error { return os.Symlink("/", dir+"/old") }, ErrForeignFile, false},
		{"file for a directory",
			func(dir string) error { return os.WriteFile(dir+"/000000001", nil, 0) },
			ErrForeignFile, false},
		{"link for a directory", func(dir string) error { return os.Symlink("/", dir+"/000000001") }, ErrForeignFile,
			false},
		{"file among shards",
			func(dir string) error { return os.WriteFile(dir+"/000000000/0a", nil, 0) },
			ErrForeignFile, false},
		{"file beside the trailer", func(dir string) error {
			return os.WriteFile(dir+"/"+shardTrailerDir+"/x", nil,
				0)
		},
			ErrForeignFile, false},
		{"link for a shard", func(dir string) error {
			return errors.Join(os.Remove(dir+"/000000000/01"), os.Symlink("00", dir+"/000000000/01"))
		}, ErrForeignFile, false},
		{"directory past the end", func(dir string) error { return os.Mkdir(dir+"/000000000/77", 0o700) },
			ErrForeignFile, false},
		{"link past the end", func(dir string) error { return os.Symlink("00", dir+"/000000000/77") },
			ErrForeignFile, false},
		{"FIFO for a shard", func(dir string) error {
			return errors.Join(os.Remove(dir+"/000000000/01"), syscall.Mkfifo(dir+"/000000000/01", 0o600))
		}, ErrForeignFile, false},
	} {
		dir := t.TempDir()
		if !c.early {
			must(put(t, dir, image, testShard))
		}
		if err := c.plant(dir); err != nil {
			t.Fatal(err)
		}
		before := states(t, dir)
		if _, err := put(t, dir, image, testShard); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if after := states(t, dir); c.want != nil && fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("%s: something has changed: %v, was %v", c.name, after, before)
		}
	}
}

// openShardSink returns a sink that no shard was written to. It is closed at the end of the test.
func openShardSink(t *testing.T, dir string) *ShardSink {
	t.Helper()
	place := must(atomicfile.OpenPlace(dir))
	t.Cleanup(func() { place.Close() })
	shards := must(OpenShards(place))
	t.Cleanup(func() { shards.Close() })
	sink := must(shards.NewSink(context.Background(), 1, testShard))
	t.Cleanup(func() { sink.Close() })
	return sink
}

// TestShardsDirectories: either all directories of new shards are created, or none.
func TestShardsDirectories(t *testing.T) {
	dir := t.TempDir()
	sink := openShardSink(t, dir)
	sink.changed = []shardNumber{0, 1, shardsPerDir, 2 * shardsPerDir}
	if err := os.WriteFile(dir+"/000000002", nil, 0); err != nil {
		t.Fatal(err)
	}
	if err := sink.makeDirs(); !errors.Is(err, ErrForeignFile) || len(must(os.ReadDir(dir))) != 1 {
		t.Errorf("%v, and there are %v", err, must(os.ReadDir(dir)))
	}
}

// TestShardsLocked: there is one writer at a time.
func TestShardsLocked(t *testing.T) {
	place := must(atomicfile.OpenPlace(t.TempDir()))
	defer place.Close()
	first := must(OpenShards(place))
	if _, err := put(t, place.Path(), tinyImage(t), testShard); !errors.Is(err, ErrShardsLocked) {
		t.Errorf("a second writer: %v", err)
	}
	first.Close()
	must(put(t, place.Path(), tinyImage(t), testShard))
}

// TestShardsUnfinished: a failure before Commit changes nothing.
func TestShardsUnfinished(t *testing.T) {
	dir, image := t.TempDir(), pagesImage(t, 28)
	must(put(t, dir, image, testShard))
	before := states(t, dir)
	place := must(atomicfile.OpenPlace(dir))
	defer place.Close()
	shards := must(OpenShards(place))
	defer shards.Close()
	ctx, cancel := context.WithCancel(context.Background())
	sink := must(shards.NewSink(ctx, testShard*2, testShard))
	defer sink.Close()
	if _, err := sink.Write(make([]byte, testShard*2)); err != nil {
		t.Fatal(err)
	}
	if err := sink.Commit(); !errors.Is(err, ErrImageSize) {
		t.Errorf("without a trailer: %v", err)
	}
	if _, err := sink.Write(make([]byte, TrailerSize+1)); !errors.Is(err, ErrImageSize) {
		t.Errorf("with more than a trailer: %v", err)
	}
	must(sink.Write(make([]byte, TrailerSize)))
	cancel()
	if err := sink.Commit(); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled Commit: %v", err)
	}
	sink.Close()
	for path, state := range states(t, dir) {
		if path != "" && before[path] != state {
			t.Errorf("%s has changed", path)
		}
	}
}

// TestShardSizes: powers of two, not too small, not too large, and not more shards than there are
// names.
func TestShardSizes(t *testing.T) {
	for size, good := range map[int64]bool{
		0: false, 2048: false, 4096: true, 4097: false, 65535: false, 65536: true, 1 << 24: true, 1 << 25: false,
		-4096: false,
	} {
		if err := CheckShardSize(size); (err == nil) != good {
			t.Errorf("%d: %v", size, err)
		}
	}
	const largest = 65536 * (1<<32 - 2) / MinShardSize // the largest image
	if last := shardNumber(largest - 1); last.dir() >= shardTrailerDir || len(last.dir()) != shardDirDigits {
		t.Errorf("the last shard of the largest image is %s", last)
	}
}
