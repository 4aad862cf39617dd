package stream

import (
	"bytes"
	"crypto/sha256"
	"runtime"
	"strings"
	"testing"
)

// TestDeterministic: the stream depends on nothing but the image.
func TestDeterministic(t *testing.T) {
	size := 12 << 20
	if raceDetector {
		size = 6 << 20
	}
	image := largeImage(t, size, func(page []byte, number int) {
		if number%3 == 0 {
			noise(page, number)
		} else {
			text(page[:30000], number)
		}
	})
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var first []byte
	for _, run := range []struct{ cpus, workers int }{{1, 0}, {2, 0}, {2, 1}, {2, 3}} {
		runtime.GOMAXPROCS(run.cpus)
		stream, _ := encode(t, image, WriterOptions{Format: Zstd, Workers: run.workers})
		if first == nil {
			first = stream
		}
		if !bytes.Equal(stream, first) {
			t.Errorf("%d CPUs and %d workers give another stream", run.cpus, run.workers)
		}
	}
}

// TestUnchangedPiecesStay: a change of one page changes only the frame that contains it.
func TestUnchangedPiecesStay(t *testing.T) {
	image := largeImage(t, 8<<20, sparse)
	before, _ := encode(t, image, WriterOptions{Format: Zstd})
	image[5<<20+70000] ^= 1
	after, _ := encode(t, image, WriterOptions{Format: Zstd})
	a, b := splitFrames(t, before), splitFrames(t, after)
	if len(a) != 9 || len(b) != 9 {
		t.Fatalf("%d and %d frames, want 9", len(a), len(b))
	}
	for i := range 8 {
		if same := bytes.Equal(a[i], b[i]); same != (i != 5) {
			t.Errorf("frame %d is the same: %v", i, same)
		}
	}
}

func TestLevels(t *testing.T) {
	image := largeImage(t, 5*65536, text)
	sizes := map[Level]int64{}
	for _, s := range []string{"fastest", "default", "Better", "best", "1", "4", "7", "22"} {
		level, err := ParseLevel(s)
		if err != nil {
			t.Fatal(err)
		}
		stream, sum := encode(t, image, WriterOptions{Format: Zstd, Level: level})
		if got, _, err := decode(bytes.NewReader(stream), ReaderOptions{}); err != nil || !bytes.Equal(got, image) {
			t.Errorf("level %s: %v", s, err)
		}
		sizes[level] = sum.StreamSize
	}
	if sizes[LevelBest] >= sizes[LevelFastest] {
		t.Errorf("the best level gives %d bytes, the fastest %d", sizes[LevelBest], sizes[LevelFastest])
	}
	for _, s := range []string{"", "0", "23", "-1", "fastestt", "3.5"} {
		if _, err := ParseLevel(s); err == nil {
			t.Errorf("level %q was accepted", s)
		}
	}
}

func TestDigest(t *testing.T) {
	d := Digest(sha256.Sum256(nil))
	const text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	if d.String() != text {
		t.Errorf("String = %s", d)
	}
	if got, err := ParseDigest(text); got != d || err != nil {
		t.Errorf("ParseDigest = %s, %v", got, err)
	}
	for _, s := range []string{"", text[1:], text + "0", strings.ToUpper(text), " " + text[1:], text[1:] + "g"} {
		if _, err := ParseDigest(s); err == nil {
			t.Errorf("ParseDigest accepted %q", s)
		}
	}
}
