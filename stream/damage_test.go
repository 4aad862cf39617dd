package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// sentinels are all errors that a Reader may return for damaged bytes.
var sentinels = []error{
	ErrFormat, ErrPlainZstd, ErrTruncated, ErrCorrupt, ErrMismatch, ErrTrailingData, ErrNoTrailer, ErrVersion,
}

// refused checks that a stream is refused with one of the given errors, or, if none is given, with
// any of the sentinels.
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

// some reports whether to try the i-th way to damage the specimen: every way if it is small.
func (s specimen) some(i int) bool { return len(s.stream) < 800 && len(s.image) < 1<<20 || i%13 == 0 }

// specimens are short streams of both forms, including one of two frames.
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

// reads reports whether stream is accepted. It fails the test if the stream is accepted with
// another image, or refused with an error that does not mean damage.
func reads(t *testing.T, what string, stream, image []byte) bool {
	t.Helper()
	rest := matcher(image)
	r := NewReader(bytes.NewReader(stream), ReaderOptions{})
	defer r.Close()
	_, err := r.WriteTo(&rest)
	if errors.Is(err, errDiffers) || err == nil && len(rest) > 0 {
		// What was read of a stream that is finally refused may be anything.
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

// TestEveryBitFlip: a stream with any bit changed is refused, or gives the same image. The latter
// happens only where zstd has two encodings of the same content.
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
