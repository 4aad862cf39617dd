package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// sentinels are all that a Reader may say about bytes.
var sentinels = []error{
	ErrFormat, ErrPlainZstd, ErrTruncated, ErrCorrupt, ErrMismatch, ErrTrailingData, ErrNoTrailer, ErrVersion,
}

// refused sees to it that a stream is refused with one of the errors given, of all if there are
// none.
func refused(t *testing.T, name string, stream []byte, want ...error) {
	t.Helper()
	if len(want) == 0 {
		want = sentinels
	}
	_, sum, err := discard(bytes.NewReader(stream))
	if !slices.ContainsFunc(want, func(target error) bool { return errors.Is(err, target) }) {
		t.Errorf("%s: %v, want %v", name, err, want)
	}
	if sum != (Summary{}) {
		t.Errorf("%s: there is a summary of it", name)
	}
	if err != nil && strings.ContainsAny(err.Error(), "\n\r") {
		t.Errorf("%s: the error is no single line: %q", name, err)
	}
}

// A specimen is a short stream to be damaged in every way.
type specimen struct {
	name          string
	image, stream []byte
}

// some reports whether the i-th way to damage the specimen is to be tried: every way if it is
// small.
func (s specimen) some(i int) bool { return len(s.stream) < 800 && len(s.image) < 1<<20 || i%13 == 0 }

// specimens are short streams of both forms, one of two frames among them.
func specimens(t testing.TB) []specimen {
	var all []specimen
	add := func(name string, image []byte, format Format) {
		stream, _ := encode(t, image, WriterOptions{Format: format, Check: "quick"})
		all = append(all, specimen{string(format) + "/" + name, image, stream})
	}
	for _, format := range formats {
		add("tiny", tinyImage(t), format)
		add("small", smallImage(t), format)
	}
	add("frames", largeImage(t, 1<<20+65536, zeros), Zstd)
	return all
}

// reads reports whether stream is accepted, and fails the test if it then gives anything but image,
// or else if the error is none of those for damage.
func reads(t *testing.T, what string, stream, image []byte) bool {
	t.Helper()
	rest := matcher(image)
	r := NewReader(bytes.NewReader(stream), ReaderOptions{})
	defer r.Close()
	_, err := r.WriteTo(&rest)
	if errors.Is(err, errDiffers) || err == nil && len(rest) > 0 {
		// What was read of a stream that is refused in the end may be anything.
		_, err = io.Copy(io.Discard, r)
		if err == nil {
			t.Fatalf("%s gives another image", what)
		}
	}
	if err == nil {
		return true
	}
	if !slices.ContainsFunc(sentinels, func(target error) bool { return errors.Is(err, target) }) {
		t.Fatalf("%s: %v", what, err)
	}
	return false
}

var errDiffers = errors.New("another image")

// A matcher takes only the bytes it consists of.
type matcher []byte

func (m *matcher) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(*m, p) {
		return 0, errDiffers
	}
	*m = (*m)[len(p):]
	return len(p), nil
}

func TestEveryTruncation(t *testing.T) {
	for _, s := range specimens(t) {
		end := len(s.stream) - TrailerSize
		if s.stream[0] != imageMagic[0] {
			end -= len(trailerFrameHeader)
		}
		for n := range s.stream {
			if !s.some(n) && n != end {
				continue
			}
			want := ErrTruncated
			switch n {
			case 0:
				want = ErrEmpty
			case end:
				want = ErrNoTrailer
			}
			refused(t, fmt.Sprintf("%s cut to %d", s.name, n), s.stream[:n], want)
		}
	}
}

func TestEveryExtension(t *testing.T) {
	for _, s := range specimens(t) {
		extend := func(what string, tail []byte) {
			refused(t, s.name+" and "+what, slices.Concat(s.stream, tail), ErrTrailingData)
		}
		for b := range 256 {
			if s.some(b) {
				extend(fmt.Sprintf("%#x", b), []byte{byte(b)})
			}
		}
		for _, n := range []int{31, TrailerSize, 1 << 20} {
			extend(fmt.Sprintf("%d zeros", n), make([]byte, n))
		}
		for n := range s.stream {
			if s.some(n) {
				extend(fmt.Sprintf("%d of its bytes", n+1), s.stream[:n+1])
				extend(fmt.Sprintf("all but %d of its bytes", n), s.stream[n:])
			}
		}
	}
}

// TestEveryBitFlip: a stream with any bit changed is refused, or gives the same image. That happens
// only where zstd knows two ways to say the same.
func TestEveryBitFlip(t *testing.T) {
	for _, s := range specimens(t) {
		tried, same := 0, 0
		for i := range len(s.stream) * 8 {
			if !s.some(1) && i%8 != i/8%8 {
				continue
			}
			stream := bytes.Clone(s.stream)
			stream[i/8] ^= 1 << (i % 8)
			tried++
			if reads(t, fmt.Sprintf("%s with bit %d flipped", s.name, i), stream, s.image) {
				same++
			}
		}
		if s.stream[0] == imageMagic[0] && same > 0 {
			t.Errorf("%s: %d flips were accepted, of a form that has no slack", s.name, same)
		}
		t.Logf("%s: %d of %d flips give the same image", s.name, same, tried)
	}
}

// TestEveryShift: a stream that lacks a byte, or has one too many, anywhere, is refused or gives
// the same image.
func TestEveryShift(t *testing.T) {
	for _, s := range specimens(t) {
		for i := range s.stream {
			if s.some(i) {
				reads(t, fmt.Sprintf("%s without byte %d", s.name, i), slices.Delete(bytes.Clone(s.stream), i, i+1),
					s.image)
				reads(t, fmt.Sprintf("%s with byte %d twice", s.name, i), slices.Insert(bytes.Clone(s.stream), i,
					s.stream[i]), s.image)
			}
		}
	}
}

func TestFrameSurgery(t *testing.T) {
	image := largeImage(t, 4<<20+65536, sparse)
	stream, _ := encode(t, image, WriterOptions{Format: Zstd})
	frames := splitFrames(t, stream)
	if len(frames) != 6 {
		t.Fatalf("%d frames, want 6", len(frames))
	}
	join := func(frames ...[]byte) []byte { return bytes.Join(frames, nil) }
	other := largeImage(t, 4<<20+65536, noise)
	otherStream, _ := encode(t, other, WriterOptions{Format: Zstd})
	otherTrailer := otherStream[len(otherStream)-TrailerSize-8:]
	rawTrailer := stream[len(stream)-TrailerSize:]
	skippable := func(magic uint32, content []byte) []byte {
		b := binary.LittleEndian.AppendUint32(nil, magic)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(content)))
		return append(b, content...)
	}
	reframed := func(size int) []byte {
		return zstdFrames(t, image, size)
	}
	f := frames
	for _, test := range []struct {
		name   string
		stream []byte
		want   error
	}{
		{"first dropped", join(f[1:]...), ErrFormat},
		{"second dropped", join(f[0], f[2], f[3], f[4], f[5]), ErrCorrupt},
		{"last dropped", join(f[0], f[1], f[2], f[3], f[5]), ErrCorrupt},
		{"trailer dropped", join(f[:5]...), ErrNoTrailer},
		{"swapped", join(f[0], f[2], f[1], f[3], f[4], f[5]), ErrMismatch},
		{"swapped with the last", join(f[0], f[1], f[2], f[4], f[3], f[5]), ErrCorrupt},
		{"doubled", join(f[0], f[1], f[1], f[2], f[3], f[4], f[5]), ErrCorrupt},
		{"last doubled", join(f[0], f[1], f[2], f[3], f[4], f[4], f[5]), ErrTrailingData},
		{"replaced", join(f[0], f[2], f[2], f[3], f[4], f[5]), ErrMismatch},
		{"in halves", join(reframed(PieceSize/2), f[5]), ErrCorrupt},
		{"in pairs", join(reframed(2*PieceSize), f[5]), ErrPlainZstd},
		{"in one", join(reframed(len(image)), f[5]), ErrPlainZstd},
		{"two streams", join(stream, stream), ErrTrailingData},
		{"image twice", join(join(f[:5]...), stream), ErrTrailingData},
		{"trailer of another", join(join(f[:5]...), otherTrailer), ErrMismatch},
		{"trailer twice", join(stream, f[5]), ErrTrailingData},
		{"trailer first", join(f[5], stream), ErrFormat},
		{"trailer in between", join(f[0], f[5], f[1], f[2], f[3], f[4], f[5]), ErrCorrupt},
		{"trailer without a frame", join(join(f[:5]...), rawTrailer), ErrTrailingData},
		{"trailer in a frame that is compressed", join(join(f[:5]...), zstdFrames(t, rawTrailer, TrailerSize)),
			ErrTrailingData},
		{"trailer in another skippable frame", join(join(f[:5]...), skippable(0x184D2A50, rawTrailer)),
			ErrTrailingData},
		{"trailer in a frame of 257 bytes", join(join(f[:5]...), skippable(0x184D2A53, append(bytes.Clone(rawTrailer),
			' '))), ErrTrailingData},
		{"foreign skippable frame first", join(skippable(0x184D2A5E, []byte("x")), stream), ErrFormat},
		{"foreign skippable frame in between", join(f[0], skippable(0x184D2A5E, nil), join(f[1:]...)), ErrCorrupt},
		{"foreign skippable frame before the trailer", join(join(f[:5]...), skippable(0x184D2A5E, nil), f[5]),
			ErrTrailingData},
		{"foreign skippable frame last", join(stream, skippable(0x184D2A5E, nil)), ErrTrailingData},
		{"empty frame in between", join(f[0], zstdFrames(t, nil, 1), join(f[1:]...)), ErrCorrupt},
		{"raw image, framed trailer", join(image, f[5]), ErrTrailingData},
	} {
		refused(t, test.name, test.stream, test.want)
	}
	for i := range f {
		refused(t, fmt.Sprintf("cut after frame %d", i), join(f[:i]...), ErrTruncated, ErrEmpty, ErrNoTrailer)
	}
}

func TestForeignTrailer(t *testing.T) {
	image, other := smallImage(t), testImage(t, 512, 4, noise)
	small, _ := encode(t, tinyImage(t), WriterOptions{})
	foreign, _ := encode(t, other, WriterOptions{})
	refused(t, "of another image", append(bytes.Clone(image), foreign[len(other):]...), ErrMismatch)
	refused(t, "of a smaller image", append(bytes.Clone(image), small[512:]...), ErrMismatch)
	refused(t, "of nothing", append(bytes.Clone(image), make([]byte, TrailerSize)...), ErrTrailingData)
	refused(t, "of a later version", append(bytes.Clone(image), line("\nsqlite-checkpoint/2 size=1")...), ErrVersion)
}

// TestTrailerInImage: a trailer in the data is data.
func TestTrailerInImage(t *testing.T) {
	tiny, _ := encode(t, tinyImage(t), WriterOptions{})
	image := testImage(t, 512, 4, func(page []byte, _ int) { copy(page, tiny[512:]) })
	for _, format := range formats {
		stream, _ := encode(t, image, WriterOptions{Format: format})
		if got, _, err := decode(bytes.NewReader(stream), ReaderOptions{}); err != nil || !bytes.Equal(got, image) {
			t.Errorf("%s: %v", format, err)
		}
	}
}

func TestNotAStream(t *testing.T) {
	refused(t, "nothing", nil, ErrEmpty)
	for name, data := range map[string]string{
		"text": "hello", "zeros": strings.Repeat("\x00", 5000), "gzip": "\x1f\x8b\x08\x00",
		"dump":         "PRAGMA foreign_keys=OFF;",
		"zstd of text": string(zstdFrames(t, []byte("hello, world"), 100)), "magic of other": imageMagic[:15] + "4",
		"zstd of 1000 zeros": string(zstdFrames(t, make([]byte, 1000), 1000)),
		"empty zstd":         string(zstdFrames(t, nil, 1)),
	} {
		refused(t, name, []byte(data), ErrFormat)
	}
}

func TestBareImage(t *testing.T) {
	image := largeImage(t, 1<<20+65536, sparse)
	var wrong Digest
	for _, format := range formats {
		stream, want := encode(t, image, WriterOptions{Format: format, NoTrailer: true})
		if want.Trailer || want.Check != "" || !want.Proven {
			t.Errorf("%s: summary %+v", format, want)
		}
		refused(t, string(format), stream, ErrNoTrailer)
		for name, test := range map[string]struct {
			opts   ReaderOptions
			err    error
			proven bool
		}{
			"image digest":  {ReaderOptions{ImageSHA256: &want.ImageSHA256}, nil, true},
			"stream digest": {ReaderOptions{StreamSHA256: &want.StreamSHA256}, nil, true},
			"both": {ReaderOptions{ImageSHA256: &want.ImageSHA256, StreamSHA256: &want.StreamSHA256},
				nil, true},
			"unproven":               {ReaderOptions{Unproven: true}, nil, false},
			"unproven, image digest": {ReaderOptions{ImageSHA256: &want.ImageSHA256, Unproven: true}, nil, true},
			"wrong image digest":     {ReaderOptions{ImageSHA256: &wrong}, ErrMismatch, false},
			"wrong stream digest":    {ReaderOptions{StreamSHA256: &wrong}, ErrMismatch, false},
			"one wrong": {ReaderOptions{ImageSHA256: &want.ImageSHA256, StreamSHA256: &wrong},
				ErrMismatch, false},
			"unproven, wrong digest":  {ReaderOptions{ImageSHA256: &wrong, Unproven: true}, ErrMismatch, false},
			"unproven, wrong digests": {ReaderOptions{StreamSHA256: &wrong, Unproven: true}, ErrMismatch, false},
		} {
			got, sum, err := decode(bytes.NewReader(stream), test.opts)
			want.Proven = test.proven
			if !errors.Is(err, test.err) || err == nil && (!bytes.Equal(got, image) || sum != want) {
				t.Errorf("%s, %s: %v, %+v", format, name, err, sum)
			}
		}
		refusedUnproven(t, stream)
	}
}

// refusedUnproven: that nothing vouches for an image is no reason to accept less or more than it.
func refusedUnproven(t *testing.T, stream []byte) {
	for name, damaged := range map[string][]byte{
		"longer": append(bytes.Clone(stream), 0), "shorter": stream[:len(stream)-1], "empty": nil,
	} {
		if _, _, err := decode(bytes.NewReader(damaged), ReaderOptions{Unproven: true}); err == nil {
			t.Errorf("accepted though %s", name)
		}
	}
}

// TestDigestsBesideTrailer: a digest that is given must hold, trailer or not.
func TestDigestsBesideTrailer(t *testing.T) {
	image := smallImage(t)
	var wrong Digest
	for _, format := range formats {
		stream, want := encode(t, image, WriterOptions{Format: format})
		for name, test := range map[string]struct {
			opts ReaderOptions
			err  error
		}{
			"right":         {ReaderOptions{ImageSHA256: &want.ImageSHA256, StreamSHA256: &want.StreamSHA256}, nil},
			"unproven":      {ReaderOptions{Unproven: true}, nil},
			"wrong image":   {ReaderOptions{ImageSHA256: &wrong}, ErrMismatch},
			"wrong stream":  {ReaderOptions{StreamSHA256: &wrong}, ErrMismatch},
			"stream for it": {ReaderOptions{ImageSHA256: &want.StreamSHA256}, ErrMismatch},
		} {
			_, sum, err := decode(bytes.NewReader(stream), test.opts)
			if !errors.Is(err, test.err) || err == nil && sum != want {
				t.Errorf("%s, %s: %v, %+v", format, name, err, sum)
			}
		}
	}
}

// TestSourceFails: errors of the source come through as they are, wherever they happen, and stay.
func TestSourceFails(t *testing.T) {
	for _, s := range specimens(t) {
		for n := 0; n <= len(s.stream); n++ {
			if n%20 == 0 || n == len(s.stream) {
				testSourceFails(t, s.name, s.stream[:n])
			}
		}
	}
}

func testSourceFails(t *testing.T, name string, stream []byte) {
	for _, fault := range []error{errFailed, io.ErrUnexpectedEOF} {
		r := NewReader(io.MultiReader(bytes.NewReader(stream), iotest.ErrReader(fault)), ReaderOptions{})
		defer r.Close()
		_, err := io.Copy(io.Discard, r)
		if !errors.Is(err, fault) {
			t.Errorf("%s after %d bytes: %v", name, len(stream), err)
		}
		if _, again := r.Read(make([]byte, 1)); again != err {
			t.Errorf("%s after %d bytes: %v, then %v", name, len(stream), err, again)
		}
		for _, target := range sentinels {
			if errors.Is(err, target) {
				t.Errorf("%s after %d bytes: %v is taken for damage", name, len(stream), err)
			}
		}
	}
}

// TestReaderErrorsStay: an error and the end are final, and a closed Reader says that it is closed.
func TestReaderErrorsStay(t *testing.T) {
	image := largeImage(t, 3<<20, sparse)
	for _, format := range formats {
		stream, _ := encode(t, image, WriterOptions{Format: format})
		for name, data := range map[string][]byte{"whole": stream, "cut": stream[:len(stream)-5], "nothing": nil} {
			r := NewReader(bytes.NewReader(data), ReaderOptions{})
			_, err := io.Copy(io.Discard, r)
			if err == nil {
				err = io.EOF
			}
			for range 3 {
				if n, again := r.Read(make([]byte, 10)); n != 0 || again != err {
					t.Errorf("%s, %s: %v, then %d, %v", format, name, err, n, again)
				}
				r.Close()
			}
		}
		r := NewReader(bytes.NewReader(stream), ReaderOptions{})
		io.ReadFull(r, make([]byte, 5))
		for range 2 {
			if err := r.Close(); err != nil {
				t.Errorf("%s: Close = %v", format, err)
			}
			if n, err := r.Read(make([]byte, 5)); n != 0 || !errors.Is(err, fs.ErrClosed) {
				t.Errorf("%s: Read after Close = %d, %v", format, n, err)
			}
		}
	}
	if err := NewReader(nil, ReaderOptions{}).Close(); err != nil {
		t.Error(err)
	}
}

// TestHostileFrames: whatever a frame declares or holds, it is refused at little cost.
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

// allocated is the number of bytes allocated by f, freed or not: no less than its peak.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// discard reads a stream to nowhere.
func discard(src io.Reader) (int64, Summary, error) {
	r := NewReader(src, ReaderOptions{})
	defer r.Close()
	n, err := io.Copy(io.Discard, r)
	return n, r.Summary(), err
}

func encodeOnly(t testing.TB, image []byte) ([]byte, error) {
	stream, _ := encode(t, image, WriterOptions{Format: Zstd})
	return stream, nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
