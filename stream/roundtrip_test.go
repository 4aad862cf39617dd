package stream

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

var formats = []Format{Raw, Zstd}

// encode writes image as a stream.
func encode(t testing.TB, image []byte, opts WriterOptions) ([]byte, Summary) {
	t.Helper()
	opts.Size = int64(len(image))
	var out bytes.Buffer
	w, err := NewWriter(&out, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := io.Copy(w, bytes.NewReader(image)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), w.Summary()
}

// decode reads a stream, and returns what it has read of the image, and the error unless it is
// io.EOF.
func decode(src io.Reader, opts ReaderOptions) ([]byte, Summary, error) {
	r := NewReader(src, opts)
	defer r.Close()
	image, err := io.ReadAll(r)
	return image, r.Summary(), err
}

// edgeImages are images with sizes around the edges of pages, buffers and pieces.
func edgeImages(t testing.TB) map[string][]byte {
	const mib = 1 << 20
	return map[string][]byte{
		"512B":       tinyImage(t),
		"2KiB":       smallImage(t),
		"64KiB":      testImage(t, 65536, 1, nil),
		"256KiB":     largeImage(t, 4*65536, sparse),
		"320KiB":     largeImage(t, 5*65536, noise),
		"1MiB-64KiB": largeImage(t, mib-65536, noise),
		"1MiB":       largeImage(t, mib, sparse),
		"1MiB+64KiB": largeImage(t, mib+65536, noise),
		"2MiB":       largeImage(t, 2*mib, zeros),
		"6MiB":       largeImage(t, 6*mib, sparse),
	}
}

func TestRoundTrip(t *testing.T) {
	for name, image := range edgeImages(t) {
		for _, format := range formats {
			for _, step := range []int{1, 511, 4096, 65537, 1 << 20, 3 << 20} {
				if len(image)/step > 1<<16 {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/step=%d", format, name, step), func(t *testing.T) {
					testRoundTrip(t, image, format, step)
				})
			}
		}
	}
}

func testRoundTrip(t *testing.T, image []byte, format Format, step int) {
	var out bytes.Buffer
	w, err := NewWriter(&out, WriterOptions{Format: format, Size: int64(len(image)), Check: "quick"})
	if err != nil {
		t.Fatal(err)
	}
	for rest := image; len(rest) > 0; {
		n, err := w.Write(rest[:min(step, len(rest))])
		if err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	stream := out.Bytes()
	want := Summary{
		Format: format, ImageSize: int64(len(image)), ImageSHA256: sha256.Sum256(image), Check: "quick",
		StreamSize: int64(len(stream)), StreamSHA256: sha256.Sum256(stream), Trailer: true, Proven: true,
	}
	if w.Summary() != want {
		t.Errorf("Writer's summary is\n%+v, want\n%+v", w.Summary(), want)
	}
	if n, known := w.StreamSize(); n != want.StreamSize || !known {
		t.Errorf("StreamSize = %d, %v after Close, want %d", n, known, want.StreamSize)
	}
	got, sum, err := decode(iotest.HalfReader(&out), ReaderOptions{})
	if err != nil || !bytes.Equal(got, image) {
		t.Errorf("read %d bytes, %v, want the image of %d", len(got), err, len(image))
	}
	if sum != want {
		t.Errorf("Reader's summary is\n%+v, want\n%+v", sum, want)
	}
	if stream2, _ := encode(t, image, WriterOptions{Format: format, Check: "quick"}); !bytes.Equal(stream2, stream) {
		t.Error("the stream depends on the size of the writes")
	}
}

// TestReaderContract runs the standard library's test of an io.Reader, over sources that are slow,
// short or end early.
func TestReaderContract(t *testing.T) {
	image := smallImage(t)
	for _, format := range formats {
		stream, _ := encode(t, image, WriterOptions{Format: format})
		for name, source := range map[string]func(io.Reader) io.Reader{
			"plain":   func(r io.Reader) io.Reader { return r },
			"byte":    iotest.OneByteReader,
			"half":    iotest.HalfReader,
			"dataErr": iotest.DataErrReader,
		} {
			t.Run(string(format)+"/"+name, func(t *testing.T) {
				r := NewReader(source(bytes.NewReader(stream)), ReaderOptions{})
				defer r.Close()
				if err := iotest.TestReader(r, image); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestReaderWriteTo(t *testing.T) {
	image := largeImage(t, 3<<20, sparse)
	for _, format := range formats {
		stream, want := encode(t, image, WriterOptions{Format: format})
		r := NewReader(bytes.NewReader(stream), ReaderOptions{})
		defer r.Close()
		var begin [1000]byte
		if _, err := io.ReadFull(r, begin[:]); err != nil {
			t.Fatal(err)
		}
		out := bytes.NewBuffer(begin[:])
		if n, err := io.Copy(out, r); n != int64(len(image)-len(begin)) || err != nil {
			t.Errorf("%s: Copy = %d, %v", format, n, err)
		}
		if !bytes.Equal(out.Bytes(), image) || r.Summary() != want {
			t.Errorf("%s: got another image or summary", format)
		}
		if n, err := io.Copy(io.Discard, r); n != 0 || err != nil {
			t.Errorf("%s: Copy after the end = %d, %v", format, n, err)
		}
	}
}

// TestReaderWriteToStops: an error of the destination is returned, and the Reader can continue.
func TestReaderWriteToStops(t *testing.T) {
	image := smallImage(t)
	stream, _ := encode(t, image, WriterOptions{})
	r := NewReader(bytes.NewReader(stream), ReaderOptions{})
	defer r.Close()
	if _, err := r.WriteTo(failingWriter{after: 0}); !errors.Is(err, errFailed) {
		t.Errorf("WriteTo = %v, want the error of the destination", err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, image) {
		t.Errorf("read %d bytes, %v, want the image", len(got), err)
	}
}

func TestImageSizeBeforeReading(t *testing.T) {
	image := largeImage(t, 3<<20, sparse)
	for _, format := range formats {
		stream, _ := encode(t, image, WriterOptions{Format: format})
		r := NewReader(bytes.NewReader(stream), ReaderOptions{})
		defer r.Close()
		for range 2 {
			if n, err := r.ImageSize(); n != int64(len(image)) || err != nil {
				t.Errorf("%s: ImageSize = %d, %v, want %d", format, n, err, len(image))
			}
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, image) {
			t.Errorf("%s: read %d bytes, %v", format, len(got), err)
		}
		r.Close()
		if n, err := r.ImageSize(); n != int64(len(image)) || err != nil {
			t.Errorf("%s: ImageSize after Close = %d, %v", format, n, err)
		}
	}
	r := NewReader(strings.NewReader("no"), ReaderOptions{})
	if _, err := r.ImageSize(); !errors.Is(err, ErrFormat) {
		t.Errorf("ImageSize of nonsense: %v", err)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, ErrFormat) {
		t.Errorf("Read after it: %v", err)
	}
}

// TestHash: with a hash from the caller the stream is the same as with the Writer's own.
func TestHash(t *testing.T) {
	image := largeImage(t, 3<<20, sparse)
	for _, format := range formats {
		for _, bare := range []bool{false, true} {
			want, wantSum := encode(t, image, WriterOptions{Format: format, NoTrailer: bare})
			asked := 0
			got, sum := encode(t, image, WriterOptions{Format: format, NoTrailer: bare,
				Hash: func() (hash.Hash, error) {
					asked++
					h := sha256.New()
					h.Write(image)
					return h, nil
				}})
			if !bytes.Equal(got, want) || sum != wantSum || asked != 1 {
				t.Errorf("%s, bare %v: another stream or summary, or asked %d times", format, bare, asked)
			}
		}
	}
}

// TestHashDisagrees: the receiver finds out that what was sent is not what was hashed.
func TestHashDisagrees(t *testing.T) {
	image := smallImage(t)
	for _, format := range formats {
		stream, _ := encode(t, image, WriterOptions{Format: format,
			Hash: func() (hash.Hash, error) { return sha256.New(), nil }})
		if _, _, err := decode(bytes.NewReader(stream), ReaderOptions{}); !errors.Is(err, ErrMismatch) {
			t.Errorf("%s: %v, want %v", format, err, ErrMismatch)
		}
	}
}
