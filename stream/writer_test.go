package stream

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"hash"
	"io"
	"io/fs"
	"testing"
	"testing/iotest"
)

var errFailed = errors.New("failed on purpose")

// A failingWriter fails after that many bytes.
type failingWriter struct{ after int }

func (w failingWriter) Write(p []byte) (int, error) {
	if n := min(w.after, len(p)); n < len(p) {
		return n, errFailed
	}
	return len(p), nil
}

func TestWriterOptions(t *testing.T) {
	for name, opts := range map[string]WriterOptions{
		"no size":       {},
		"negative size": {Size: -1},
		"format":        {Size: 512, Format: "gzip"},
		"check":         {Size: 512, Check: "careful"},
		"check spaces":  {Size: 512, Check: "quick x=y"},
		"workers":       {Size: 512, Workers: -1},
	} {
		if _, err := NewWriter(io.Discard, opts); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestStreamSizeBeforehand(t *testing.T) {
	for _, test := range []struct {
		opts  WriterOptions
		size  int64
		known bool
	}{
		{WriterOptions{Size: 512}, 768, true},
		{WriterOptions{Size: 512, Format: Raw, NoTrailer: true}, 512, true},
		{WriterOptions{Size: 512, Format: Zstd}, 0, false},
	} {
		w, err := NewWriter(io.Discard, test.opts)
		if err != nil {
			t.Fatal(err)
		}
		if n, known := w.StreamSize(); n != test.size || known != test.known {
			t.Errorf("%+v: StreamSize = %d, %v", test.opts, n, known)
		}
		w.Close()
	}
}

// TestWriterRefuses: whatever is wrong, no trailer is written, the error is final, and Close
// returns it, too.
func TestWriterRefuses(t *testing.T) {
	image := largeImage(t, 3<<20, sparse)
	size := int64(len(image))
	wrongHash := func() (hash.Hash, error) { return sha1.New(), nil }
	failedHash := func() (hash.Hash, error) { return nil, errFailed }
	for _, test := range []struct {
		name  string
		opts  WriterOptions
		image []byte
		want  error // nil is any
	}{
		{"nothing", WriterOptions{Size: size}, nil, ErrImageSize},
		{"one byte less", WriterOptions{Size: size}, image[:size-1], ErrImageSize},
		{"one byte more", WriterOptions{Size: size}, append(bytes.Clone(image), 0), ErrImageSize},
		{"header says less", WriterOptions{Size: size + 65536}, append(bytes.Clone(image), make([]byte, 65536)...),
			ErrImageSize},
		{"header says more", WriterOptions{Size: size - 65536}, image[:size-65536], ErrImageSize},
		{"no database", WriterOptions{Size: size}, make([]byte, size), ErrFormat},
		{"hash fails", WriterOptions{Size: size, Hash: failedHash}, image, errFailed},
		{"hash is no SHA-256", WriterOptions{Size: size, Hash: wrongHash}, image, nil},
	} {
		for _, format := range formats {
			t.Run(string(format)+"/"+test.name, func(t *testing.T) {
				test.opts.Format = format
				var out bytes.Buffer
				w, err := NewWriter(&out, test.opts)
				if err != nil {
					t.Fatal(err)
				}
				_, copyErr := io.Copy(w, bytes.NewReader(test.image))
				err = w.Close()
				if err == nil || !errors.Is(err, test.want) && test.want != nil {
					t.Errorf("Close = %v, want %v", err, test.want)
				}
				if copyErr != nil && copyErr != err || w.Close() != err {
					t.Errorf("the error changes: %v, %v, %v", copyErr, err, w.Close())
				}
				if _, err2 := w.Write([]byte{0}); err2 != err {
					t.Errorf("Write after it = %v", err2)
				}
				if bytes.Contains(out.Bytes(), []byte(trailerMark)) {
					t.Error("there is a trailer")
				}
				if w.Summary() != (Summary{}) {
					t.Error("there is a summary")
				}
			})
		}
	}
}

func TestWriterDestinationFails(t *testing.T) {
	image := largeImage(t, 3<<20, noise)
	for _, format := range formats {
		for _, after := range []int{0, 1, 100_000} {
			w, err := NewWriter(failingWriter{after}, WriterOptions{Format: format, Size: int64(len(image))})
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(w, bytes.NewReader(image))
			for range 2 {
				if err := w.Close(); !errors.Is(err, errFailed) {
					t.Errorf("%s after %d: Close = %v", format, after, err)
				}
			}
		}
	}
	w, err := NewWriter(shortWriter{}, WriterOptions{Size: int64(len(image))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(image); err != io.ErrShortWrite {
		t.Errorf("short write: %v", err)
	}
	w.Close()
}

type shortWriter struct{}

func (shortWriter) Write(p []byte) (int, error) { return len(p) / 2, nil }

// TestWriterSourceFails: an error of the source is returned, is not one of the Writer, and no
// trailer can follow.
func TestWriterSourceFails(t *testing.T) {
	image := largeImage(t, 2<<20, sparse)
	for _, format := range formats {
		var out bytes.Buffer
		w, err := NewWriter(&out, WriterOptions{Format: format, Size: int64(len(image))})
		if err != nil {
			t.Fatal(err)
		}
		src := io.MultiReader(bytes.NewReader(image[:1<<20+5]), iotest.ErrReader(errFailed))
		if n, err := io.Copy(w, src); n != 1<<20+5 || err != errFailed {
			t.Errorf("%s: Copy = %d, %v", format, n, err)
		}
		if _, err := w.Write(image[1<<20+5:]); err != nil {
			t.Errorf("%s: Write of the rest = %v", format, err)
		}
		if err := w.Close(); err != nil {
			t.Errorf("%s: Close = %v", format, err)
		}
		if _, err := w.Write(nil); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s: Write after Close = %v", format, err)
		}
		if got, _, err := decode(&out, ReaderOptions{}); err != nil || !bytes.Equal(got, image) {
			t.Errorf("%s: the stream is wrong: %v", format, err)
		}
	}
}

// TestWriterDoesNotKeepInput: the caller may change what it has written.
func TestWriterDoesNotKeepInput(t *testing.T) {
	image := largeImage(t, 5<<20, sparse)
	for _, format := range formats {
		var out bytes.Buffer
		w, err := NewWriter(&out, WriterOptions{Format: format, Size: int64(len(image))})
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 300_000)
		for rest := image; len(rest) > 0; {
			n := copy(buf, rest)
			if _, err := w.Write(buf[:n]); err != nil {
				t.Fatal(err)
			}
			clear(buf)
			rest = rest[n:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got, _, err := decode(&out, ReaderOptions{}); err != nil || !bytes.Equal(got, image) {
			t.Errorf("%s: the stream is wrong: %v", format, err)
		}
	}
}

func TestNoStreamHash(t *testing.T) {
	image := largeImage(t, 3*PieceSize, text)
	for _, format := range formats {
		want, full := encode(t, image, WriterOptions{Format: format})
		got, sum := encode(t, image, WriterOptions{Format: format, NoStreamHash: true})
		if !bytes.Equal(got, want) {
			t.Errorf("%s: another stream", format)
		}
		if format == Zstd {
			full.StreamSHA256 = Digest{}
		}
		if sum != full {
			t.Errorf("%s: %+v, want %+v", format, sum, full)
		}
	}
}
