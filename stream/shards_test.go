package stream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

const testShard = MinShardSize

// put puts an image into the directory of shards dir.
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

// take reads an image out of a directory of shards.
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

// states are the inodes and times of all that is in a directory.
func states(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		stat := must(entry.Info()).Sys().(*syscall.Stat_t)
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
	large := testImage(t, testShard, 258, noise)
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
		{"two directories", large, ShardStats{Count: 258, Written: 258}},
		{"two changes", changed, ShardStats{Count: 258, Written: 2}},
		{"less", testImage(t, testShard, 2, noise), ShardStats{Count: 2, Written: 2, Removed: 256}},
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
		changes := path == "" || path == "/000000" || path == "/000000/05" ||
			strings.HasPrefix(path, "/"+shardTrailerDir)
		if (before[path] != state) != changes {
			t.Errorf("%s was touched: %v, want %v", path, !changes, changes)
		}
	}
}

// TestShardsRepair: another run mends whatever there is.
func TestShardsRepair(t *testing.T) {
	image := pagesImage(t, 28)
	for name, damage := range map[string]func(dir string) error{
		"trailer missing": func(dir string) error { return os.Remove(dir + "/sqlite-checkpoint-trailer/trailer") },
		"trailer damaged": func(dir string) error {
			return os.WriteFile(dir+"/sqlite-checkpoint-trailer/trailer", nil,
				0)
		},
		"shard missing":     func(dir string) error { return os.Remove(dir + "/000000/01") },
		"shard cut":         func(dir string) error { return os.Truncate(dir+"/000000/02", 100) },
		"shard extended":    func(dir string) error { return os.Truncate(dir+"/000000/03", testShard) },
		"shards swapped":    func(dir string) error { return swapFiles(dir+"/000000/01", dir+"/000000/02") },
		"superfluous":       func(dir string) error { return os.WriteFile(dir+"/000000/ff", nil, 0o600) },
		"directory missing": func(dir string) error { return os.RemoveAll(dir + "/000000") },
	} {
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

func swapFiles(a, b string) error {
	return errors.Join(os.Rename(a, a+"x"), os.Rename(b, a), os.Rename(a+"x", b))
}

// TestShardsForeign: what may be somebody else's is left alone.
func TestShardsForeign(t *testing.T) {
	image := pagesImage(t, 28)
	for _, c := range []struct {
		name  string
		plant func(dir string) error
		want  error
		early bool // before the first run
	}{
		{"a file in an empty directory", func(dir string) error { return os.WriteFile(dir+"/000000", nil, 0) },
			ErrNotShards, true},
		{"shards of nobody", func(dir string) error { return os.Mkdir(dir+"/000000", 0o700) }, ErrNotShards, true},
		{"hidden file", func(dir string) error { return os.WriteFile(dir+"/.stfolder", nil, 0) }, nil, true},
		{"lost+found", func(dir string) error { return os.Mkdir(dir+"/lost+found", 0o700) }, nil, true},
		{"file beside", func(dir string) error { return os.WriteFile(dir+"/README", nil, 0) }, nil, false},
		{"directory beside", func(dir string) error { return os.Mkdir(dir+"/old", 0o700) }, ErrForeignFile, false},
		{"link beside", func(dir string) error { return os.Symlink("/", dir+"/old") }, ErrForeignFile, false},
		{"file for a directory", func(dir string) error { return os.WriteFile(dir+"/000001", nil, 0) }, ErrForeignFile,
			false},
		{"link for a directory", func(dir string) error { return os.Symlink("/", dir+"/000001") }, ErrForeignFile,
			false},
		{"file among shards", func(dir string) error { return os.WriteFile(dir+"/000000/0A", nil, 0) }, ErrForeignFile,
			false},
		{"file beside the trailer", func(dir string) error {
			return os.WriteFile(dir+"/"+shardTrailerDir+"/x", nil,
				0)
		},
			ErrForeignFile, false},
		{"link for a shard", func(dir string) error {
			return errors.Join(os.Remove(dir+"/000000/01"), os.Symlink("00", dir+"/000000/01"))
		}, ErrForeignFile, false},
		{"FIFO for a shard", func(dir string) error {
			return errors.Join(os.Remove(dir+"/000000/01"), syscall.Mkfifo(dir+"/000000/01", 0o600))
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
	for image, good := range map[int64]bool{maxShards * testShard: true, maxShards*testShard + 1: false} {
		if _, err := new(Shards).NewSink(context.Background(), image, testShard); (err == nil) != good {
			t.Errorf("an image of %d bytes: %v", image, err)
		}
	}
}

const shardVectorDir = "testdata/shards"

// A shardVector is a directory, and what a reader is to say of it.
type shardVector struct {
	name, expect, payload, comment string
	files                          []shardFile
}

type shardFile struct {
	name string
	data []byte
}

var shardExpectations = map[string]error{"incomplete": ErrIncomplete, "foreign": ErrForeignFile}

func (v shardVector) marshal() []byte {
	var out, data bytes.Buffer
	fmt.Fprintf(&out, "expect: %s\npayload-sha256: %s\ncomment: %s\n", v.expect, v.payload, v.comment)
	for _, file := range v.files {
		fmt.Fprintf(&out, "file: %s %d\n", file.name, len(file.data))
		data.Write(file.data)
	}
	return append(append(out.Bytes(), '\n'), data.Bytes()...)
}

func parseShardVector(t testing.TB, path string) (v shardVector) {
	t.Helper()
	header, data, _ := bytes.Cut(must(os.ReadFile(path)), []byte("\n\n"))
	v.name = filepath.Base(path)
	for line := range strings.Lines(string(header)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch key {
		case "expect":
			v.expect = value
		case "payload-sha256":
			v.payload = value
		case "comment":
			v.comment = value
		case "file":
			var file shardFile
			var length int
			if _, err := fmt.Sscan(value, &file.name, &length); err != nil {
				t.Fatalf("%s: %q: %v", path, line, err)
			}
			file.data, data = data[:length], data[length:]
			v.files = append(v.files, file)
		default:
			t.Fatalf("%s: what is %q?", path, line)
		}
	}
	return v
}

// unpack makes the directory.
func (v shardVector) unpack(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for _, file := range v.files {
		path := filepath.Join(dir, file.name)
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		if err = errors.Join(err, os.WriteFile(path, file.data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func loadShardVectors(t testing.TB) (all []shardVector) {
	t.Helper()
	for _, path := range must(filepath.Glob(shardVectorDir + "/*")) {
		all = append(all, parseShardVector(t, path))
	}
	return all
}

// TestShardVectors reads the directories of testdata/shards, which are those that makeShardVectors
// makes.
func TestShardVectors(t *testing.T) {
	made := makeShardVectors(t)
	if *update {
		for _, v := range made {
			if err := os.WriteFile(filepath.Join(shardVectorDir, v.name), v.marshal(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	there := map[string]shardVector{}
	for _, v := range loadShardVectors(t) {
		there[v.name] = v
		want, known := expectations[v.expect]
		if !known {
			want, known = shardExpectations[v.expect]
		}
		image, err := take(t, v.unpack(t), ReaderOptions{})
		if !known || !errors.Is(err, want) {
			t.Errorf("%s: %v, want %s", v.name, err, v.expect)
		}
		if digest := Digest(sha256.Sum256(image)); v.expect == "success" && digest.String() != v.payload {
			t.Errorf("%s: payload has SHA-256 %s, want %s", v.name, digest, v.payload)
		}
	}
	for _, v := range made {
		if !bytes.Equal(there[v.name].marshal(), v.marshal()) {
			t.Errorf("%s is missing or another: run go test -run TestShardVectors -update", v.name)
		}
	}
}

// shardsOf cuts a stream.
func shardsOf(stream []byte, size int) (files []shardFile) {
	image := stream[:len(stream)-TrailerSize]
	for n := 0; n*size < len(image); n++ {
		files = append(files, shardFile{shardNumber(n).String(), image[n*size : min((n+1)*size, len(image))]})
	}
	return append(files, shardFile{shardTrailerDir + "/" + shardTrailerName, stream[len(image):]})
}

func makeShardVectors(t testing.TB) (all []shardVector) {
	t.Helper()
	image := testImage(t, 512, 28, text)
	newer := bytes.Clone(image)
	newer[testShard+100]++
	stream, _ := encode(t, image, WriterOptions{Check: "quick"})
	other, _ := encode(t, newer, WriterOptions{Check: "quick"})
	add := func(name, expect, comment string, edit func([]shardFile) []shardFile) {
		files := shardsOf(stream, testShard)
		if edit != nil {
			files = edit(files)
		}
		payload := Digest(sha256.Sum256(image)).String()
		all = append(all, shardVector{name, expect, payload, comment, files})
	}
	replaced := func(i int, data []byte) func([]shardFile) []shardFile {
		return func(f []shardFile) []shardFile { f[i].data = data; return f }
	}
	without := func(i int) func([]shardFile) []shardFile {
		return func(f []shardFile) []shardFile { return append(f[:i:i], f[i+1:]...) }
	}
	with := func(name string, data []byte) func([]shardFile) []shardFile {
		return func(f []shardFile) []shardFile { return append(f, shardFile{name, data}) }
	}
	cut := shardsOf(stream, testShard)
	add("good", "success", "three shards and a half", nil)
	add("one", "success", "one shard", func([]shardFile) []shardFile { return shardsOf(stream, 4*testShard) })
	add("small", "success", "shards of another size", func([]shardFile) []shardFile { return shardsOf(stream, 512) })
	add("hidden", "success", "a name that * leaves out", with("000000/.nfs1", []byte("x")))
	add("beside", "success", "a file that */* does not find", with("README", []byte("x")))
	add("empty", "incomplete", "nothing", func([]shardFile) []shardFile { return nil })
	add("no_trailer", "incomplete", "without the trailer", without(4))
	add("trailer_only", "truncated", "without a shard", func(f []shardFile) []shardFile { return f[4:] })
	add("first_missing", "truncated", "without the first shard", without(0))
	add("second_missing", "truncated", "without the second shard", without(1))
	add("last_missing", "truncated", "without the last shard", without(3))
	add("cut", "truncated", "a byte of a shard is missing", replaced(1, cut[1].data[1:]))
	add("emptied", "truncated", "an empty shard", replaced(2, nil))
	add("longer", "corrupt", "a shard has a byte more", replaced(1, append(bytes.Clone(cut[1].data), 0)))
	add("last_longer", "corrupt", "the last shard has a byte more", replaced(3, append(bytes.Clone(cut[3].data), 0)))
	add("moved", "truncated", "a byte has moved to the next shard", func(f []shardFile) []shardFile {
		f[1].data, f[2].data = cut[1].data[:testShard-1], append(cut[1].data[testShard-1:testShard:testShard],
			cut[2].data...)
		return f
	})
	add("swapped", "mismatch", "two shards have changed places", func(f []shardFile) []shardFile {
		f[1].data, f[2].data = f[2].data, f[1].data
		return f
	})
	add("stale", "mismatch", "a shard of an earlier stream", replaced(1, other[testShard:2*testShard]))
	add("stale_trailer", "mismatch", "the trailer of another stream", replaced(4, other[len(image):]))
	add("trailer_cut", "corrupt", "a trailer of 255 bytes", replaced(4, cut[4].data[:255]))
	add("trailer_longer", "corrupt", "a trailer of 257 bytes", replaced(4, append(bytes.Clone(cut[4].data), '\n')))
	add("superfluous", "trailing-data", "a shard after the last", with("000000/04", nil))
	add("superfluous_directory", "trailing-data", "a shard in another directory", with("00000a/04", []byte("x")))
	add("capital", "foreign", "a name with a capital", with("000000/0A", []byte("x")))
	add("long_name", "foreign", "a name of three digits", with("000000/004", []byte("x")))
	add("foreign_directory", "foreign", "a directory of another name", with("notes/1", []byte("x")))
	add("beside_trailer", "foreign", "a file beside the trailer", with(shardTrailerDir+"/x", []byte("x")))
	return all
}
