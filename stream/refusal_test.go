package stream

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/iotest"
)

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

// refusedUnproven: even with Unproven, nothing but exactly an image is accepted.
func refusedUnproven(t *testing.T, stream []byte) {
	for name, damaged := range map[string][]byte{
		"longer": append(bytes.Clone(stream), 0), "shorter": stream[:len(stream)-1], "empty": nil,
	} {
		if _, _, err := decode(bytes.NewReader(damaged), ReaderOptions{Unproven: true}); err == nil {
			t.Errorf("accepted though %s", name)
		}
	}
}

// TestDigestsBesideTrailer: a given digest must match, with or without a trailer.
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

// TestSourceFails: errors of the source are returned unchanged, wherever they happen, and are
// final.
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

// TestReaderErrorsStay: errors and EOF are final, and a closed Reader says that it is closed.
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
