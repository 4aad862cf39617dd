//go:build unix

package stream

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestIndependentReader compares the Reader with testdata/reader.py, which was written from
// FORMAT.md alone: over every vector, and over mutations of them.
func TestIndependentReader(t *testing.T) {
	mutations := 10_000
	if testing.Short() {
		mutations = 2000
	}
	vectors := loadVectors(t)
	all := slices.Concat(vectors, mutate(vectors, mutations), flips(t))
	accepted, lenient, differing := 0, 0, 0
	for i, theirs := range askPython(t, all) {
		ours := judge(all[i])
		if ours.Accepted {
			accepted++
		}
		if ours.Accepted == theirs.Accepted && (!ours.Accepted || ours.Word == theirs.Word) {
			continue
		}
		if strings.Contains(ours.Word, "reserved bits not zero") && theirs.Word == imageDigest(all[i]) {
			lenient++
			continue
		}
		if differing++; differing < 10 {
			t.Errorf("%d, made of %s: we say %v, reader.py %v", i, all[i].name, ours, theirs)
		}
	}
	t.Logf("%d of %d streams are accepted; zstd is more lenient about %d; %d are judged differently",
		accepted, len(all), lenient, differing)
}

// imageDigest returns what the trailer of a compressed stream says about the image. Some versions
// of zstd ignore reserved bits inside a block; FORMAT.md allows that, as the image is the same.
func imageDigest(v vector) string {
	_, after, _ := bytes.Cut(v.stream, []byte(" sha256="))
	return string(after[:min(len(after), 64)])
}

// A verdict is what a reader says about a stream: the digest of the image, or why it is refused.
type verdict struct {
	Accepted bool   `json:"accepted"`
	Word     string `json:"word"`
}

func judge(v vector) verdict {
	r := NewReader(bytes.NewReader(v.stream), v.opts)
	defer r.Close()
	image := sha256.New()
	if _, err := io.Copy(image, r); err != nil {
		return verdict{false, err.Error()}
	}
	return verdict{true, Digest(image.Sum(nil)).String()}
}

// askPython has one process of reader.py read all streams.
func askPython(t *testing.T, streams []vector) []verdict {
	t.Helper()
	var in bytes.Buffer
	enc := json.NewEncoder(&in)
	for _, v := range streams {
		question := map[string]any{"data": v.stream, "unproven": v.opts.Unproven}
		if v.opts.ImageSHA256 != nil {
			question["image_sha256"] = v.opts.ImageSHA256.String()
		}
		if v.opts.StreamSHA256 != nil {
			question["stream_sha256"] = v.opts.StreamSHA256.String()
		}
		if err := enc.Encode(question); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("python3", "testdata/reader.py", "--batch")
	cmd.Stdin = &in
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	var verdicts []verdict
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var v verdict
		if err := dec.Decode(&v); err != nil {
			t.Fatal(err)
		}
		verdicts = append(verdicts, v)
	}
	if len(verdicts) != len(streams) {
		t.Fatalf("%d verdicts on %d streams", len(verdicts), len(streams))
	}
	return verdicts
}

// TestIndependentShards compares the ShardReader with testdata/reader.py over the directories of
// testdata/shards.
func TestIndependentShards(t *testing.T) {
	args := []string{"testdata/reader.py"}
	vectors := loadShardVectors(t)
	for _, v := range vectors {
		args = append(args, v.unpack(t))
	}
	out, _ := exec.Command("python3", args...).Output() // fails, as some are refused
	words := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(words) != len(vectors) {
		t.Fatalf("%d verdicts on %d directories: %s", len(words), len(vectors), out)
	}
	for i, v := range vectors {
		accepted := words[i] == "accept "+v.payload
		if accepted != (v.expect == "success") {
			t.Errorf("%s: reader.py says %s", v.name, words[i])
		}
	}
}

// mutate makes n streams out of vectors, always the same ones.
func mutate(vectors []vector, n int) []vector {
	random := rand.New(rand.NewPCG(1, 2))
	vectors = slices.DeleteFunc(slices.Clone(vectors), func(v vector) bool { return len(v.stream) == 0 })
	var mutants []vector
	for range n {
		v := vectors[random.IntN(len(vectors))]
		v.stream = bytes.Clone(v.stream)
		for range 1 + random.IntN(2) {
			other := vectors[random.IntN(len(vectors))].stream
			v.stream = mutateOnce(random, v.stream, other)
		}
		mutants = append(mutants, v)
	}
	return mutants
}

// flips returns all ways to change a bit of a compressed stream: zstd has several encodings of the
// same content, and decoders differ in which they accept.
func flips(t *testing.T) []vector {
	v := vector{name: "flip", stream: must2(encode(t, tinyImage(t), WriterOptions{Format: Zstd}))}
	var all []vector
	for i := range 8 * (len(v.stream) - TrailerSize) {
		flipped := v
		flipped.stream = bytes.Clone(v.stream)
		flipped.stream[i/8] ^= 1 << (i % 8)
		all = append(all, flipped)
	}
	return all
}

// mutateOnce changes a bit or a byte, removes, doubles or adds some bytes, truncates, or copies in
// a part of another stream.
func mutateOnce(random *rand.Rand, data, other []byte) []byte {
	if len(data) == 0 {
		return bytes.Clone(other)
	}
	at, length := random.IntN(len(data)), 1+random.IntN(20)
	end := min(at+length, len(data))
	switch random.IntN(8) {
	case 0, 1, 2:
		data[at] ^= 1 << random.IntN(8)
	case 3:
		data[at] = byte(random.IntN(256))
	case 4:
		data = slices.Delete(data, at, end)
	case 5:
		data = slices.Insert(data, at, bytes.Clone(data[at:end])...)
	case 6:
		data = data[:at]
	case 7:
		from := random.IntN(len(other))
		data = append(data[:at], other[from:]...)
	}
	return data
}
