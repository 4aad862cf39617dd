package stream

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"testing"
)

// decodeDeferred is decode for a caller that hashes the image itself.
func decodeDeferred(src io.Reader, opts ReaderOptions) ([]byte, Summary, error) {
	r := NewReader(src, opts)
	defer r.Close()
	r.Defer()
	image, err := io.ReadAll(r)
	if err == nil {
		h := sha256.New()
		h.Write(image)
		err = r.Prove(h)
	}
	return image, r.Summary(), err
}

// TestDefer: a Reader finds and reports the same, whoever hashes the image.
func TestDefer(t *testing.T) {
	var wrong Digest
	image := largeImage(t, 1<<20+65536, sparse)
	for _, format := range formats {
		good, sum := encode(t, image, WriterOptions{Format: format})
		bare, bareSum := encode(t, image, WriterOptions{Format: format, NoTrailer: true})
		flipped, forged := bytes.Clone(good), bytes.Clone(good)
		flipped[len(good)/2] ^= 1
		forged[len(good)-10] ^= 1
		for name, data := range map[string][]byte{
			"good": good, "bare": bare, "flipped": flipped, "forged": forged, "empty": nil,
			"truncated": good[:len(good)/2], "trailer cut": good[:len(good)-1], "longer": append(bytes.Clone(good), 0),
		} {
			for what, opts := range map[string]ReaderOptions{
				"trailer": {}, "unproven": {Unproven: true},
				"stream": {StreamSHA256: &sum.StreamSHA256}, "bare stream": {StreamSHA256: &bareSum.StreamSHA256},
				"image": {ImageSHA256: &sum.ImageSHA256}, "wrong": {ImageSHA256: &wrong},
			} {
				got, gotSum, gotErr := decodeDeferred(bytes.NewReader(data), opts)
				want, wantSum, wantErr := decode(bytes.NewReader(data), opts)
				if !bytes.Equal(got, want) || gotSum != wantSum || errorText(gotErr) != errorText(wantErr) {
					t.Errorf("%s, %s, %s: %d bytes, %+v, %v, want %d, %+v, %v",
						format, name, what, len(got), gotSum, gotErr, len(want), wantSum, wantErr)
				}
			}
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestProveTooEarly: a stream that has not been read to its end, or that has failed, is not proven.
func TestProveTooEarly(t *testing.T) {
	good, _ := encode(t, largeImage(t, 1<<20, sparse), WriterOptions{})
	r := NewReader(bytes.NewReader(good), ReaderOptions{})
	r.Defer()
	if err := r.Prove(sha256.New()); !errors.Is(err, errUnread) {
		t.Errorf("before the first Read: %v", err)
	}
	if _, err := io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Prove(sha256.New()); !errors.Is(err, ErrMismatch) {
			t.Errorf("with the hash of nothing: %v", err)
		}
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, ErrMismatch) || r.Summary() != (Summary{}) {
		t.Errorf("Read after that: %v, %+v", err, r.Summary())
	}
	r.Close()
	if err := r.Prove(sha256.New()); err == nil || errors.Is(err, fs.ErrClosed) {
		t.Errorf("closed after a failure: %v", err)
	}
}
