package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"slices"
	"testing"
)

// TestHostileFrames: whatever a frame declares or contains, refusing it costs little.
func TestHostileFrames(t *testing.T) {
	image := largeImage(t, 2<<20, zeros)
	good := splitFrames(t, must(encodeOnly(t, image)))
	bomb := largeImage(t, 64<<20, zeros)
	for name, test := range map[string]struct {
		stream []byte
		want   []error
	}{
		"bomb in one frame": {zstdFrames(t, bomb, len(bomb)), []error{ErrPlainZstd}},
		"content of 2^63":   {withFrameHeader(good[0], 0xe4, 1<<63), nil},
		"content of 2^64-1": {withFrameHeader(good[0], 0xe4, 1<<64-1), nil},
		"content of 2^62":   {withFrameHeader(good[0], 0xe4, 1<<62), nil},
		"content of 0":      {withFrameHeader(good[0], 0xe4, 0), nil},
		"second of 2^63": {slices.Concat(good[0], withFrameHeader(good[1], 0xe4, 1<<63)),
			[]error{ErrCorrupt}},
		"second of 0": {slices.Concat(good[0], withFrameHeader(good[1], 0xe4, 0)), []error{ErrCorrupt}},
		"second lies": {slices.Concat(good[0], withFrameHeader(zstdFrames(t, bomb[:8<<20], 8<<20), 0xe4,
			PieceSize)), []error{ErrCorrupt}},
		"second shorter": {slices.Concat(good[0], withFrameHeader(zstdFrames(t, bomb[:8], 8), 0xe4,
			PieceSize)), []error{ErrCorrupt}},
		"endless blocks": {slices.Concat([]byte(zstdMagic), []byte("\xa4\x00\x00\x10\x00"),
			make([]byte, 32<<20)), []error{ErrCorrupt}},
		"huge skippable frame": {slices.Concat(good[0], []byte("\x50\x2a\x4d\x18\xff\xff\xff\xff"),
			make([]byte, 32<<20)), []error{ErrCorrupt}},
		"huge trailer frame": {slices.Concat(good[0], good[1], []byte("\x53\x2a\x4d\x18\xff\xff\xff\xff"),
			make([]byte, 32<<20)), []error{ErrTrailingData}},
		"window of 2 GiB": {slices.Concat([]byte(zstdMagic), []byte("\x84\xa8\x00\x00\x10\x00"), good[0][9:]),
			nil},
		"window of 3.75 TiB": {slices.Concat([]byte(zstdMagic), []byte("\x84\xff\x00\x00\x10\x00"), good[0][9:]),
			nil},
		"second with a huge window": {slices.Concat(good[0], []byte(zstdMagic), []byte("\x84\xff\x00\x00\x10\x00"),
			good[1][9:]), []error{ErrCorrupt}},
	} {
		t.Run(name, func(t *testing.T) {
			const limit = 24 << 20 // of all allocations together; a Reader's own buffers are most of it
			var err error
			used := allocated(func() { _, _, err = discard(bytes.NewReader(test.stream)) })
			if err == nil {
				t.Error("accepted")
			}
			if used > limit {
				t.Errorf("%d MiB were allocated", used>>20)
			}
			refused(t, name, test.stream, test.want...)
		})
	}
}

// TestLongestFrame: a frame may have as many bytes as FORMAT.md allows, and no more. Here empty
// blocks, of three bytes each, make it that long.
func TestLongestFrame(t *testing.T) {
	const most = 1114112
	frames := splitFrames(t, must(encodeOnly(t, largeImage(t, 1<<20, zeros))))
	header, err := parseFrameHeader(frames[0])
	if err != nil {
		t.Fatal(err)
	}
	fits := (most - len(frames[0])) / 3
	longer := func(blocks int) []byte {
		return slices.Concat(frames[0][:header.size], make([]byte, 3*blocks), frames[0][header.size:], frames[1])
	}
	if _, _, err := discard(bytes.NewReader(longer(fits))); err != nil {
		t.Error(err)
	}
	refused(t, "longer", longer(fits+1), ErrCorrupt)
}

// TestBombIsFlat: a stream of very many pieces from very few bytes takes no more memory than any
// other.
func TestBombIsFlat(t *testing.T) {
	image := largeImage(t, 2<<20, zeros)
	binary.BigEndian.PutUint32(image[28:], 0xfffffffe)
	frames := zstdFrames(t, image, PieceSize)
	second := frames[len(splitFrames(t, frames)[0]):]
	pieces := 2000
	if raceDetector || testing.Short() {
		pieces = 200
	}
	used := allocated(func() {
		n, _, err := discard(io.MultiReader(bytes.NewReader(frames), bytes.NewReader(bytes.Repeat(second, pieces-2))))
		if n != int64(pieces)<<20 || !errors.Is(err, ErrTruncated) {
			t.Errorf("read %d bytes, %v", n, err)
		}
	})
	if used > 24<<20 {
		t.Errorf("%d MiB were allocated", used>>20)
	}
}

// TestRawBomb: an image of the largest size, declared by a few bytes, costs nothing.
func TestRawBomb(t *testing.T) {
	image := testImage(t, 65536, 1, nil)
	binary.BigEndian.PutUint32(image[28:], 0xfffffffe)
	r := NewReader(bytes.NewReader(image), ReaderOptions{})
	defer r.Close()
	if n, err := r.ImageSize(); n != 0xfffffffe*65536 || err != nil {
		t.Errorf("ImageSize = %d, %v", n, err)
	}
	if used := allocated(func() { refused(t, "largest", image, ErrTruncated) }); used > 2<<20 {
		t.Errorf("%d bytes were allocated", used)
	}
}

// allocated returns the number of bytes allocated by f, freed or not: at least its peak.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// discard reads a stream and discards it.
func discard(src io.Reader) (int64, Summary, error) {
	r := NewReader(src, ReaderOptions{})
	defer r.Close()
	n, err := io.Copy(io.Discard, r)
	return n, r.Summary(), err
}
