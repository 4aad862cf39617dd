//go:build unix

package stream

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const shardVectorDir = "testdata/shards"

// A shardVector is a directory, and what a reader must say about it.
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

// unpack creates the directory.
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

// shardsOf cuts a stream into shards.
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
	add("hidden", "success", "a name that * leaves out", with("000000000/.nfs1", []byte("x")))
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
	add("superfluous", "trailing-data", "a shard after the last", with("000000000/04", nil))
	add("superfluous_directory", "trailing-data", "a shard in another directory", with("000000010/04", []byte("x")))
	add("letter", "foreign", "a name with a letter", with("000000000/0a", []byte("x")))
	add("long_name", "foreign", "a name of three digits", with("000000000/004", []byte("x")))
	add("foreign_directory", "foreign", "a directory of another name", with("notes/1", []byte("x")))
	add("beside_trailer", "foreign", "a file beside the trailer", with(shardTrailerDir+"/x", []byte("x")))
	return all
}
