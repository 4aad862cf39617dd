package stream

import (
	"bytes"
	"errors"
	"testing"
)

func TestReadTrailer(t *testing.T) {
	t.Parallel()
	for _, format := range []Format{Raw, Zstd} {
		data, want := encode(t, smallImage(t), WriterOptions{Format: format, Check: "quick"})
		got, err := ReadTrailer(bytes.NewReader(data), int64(len(data)))
		want.StreamSHA256, want.Proven = Digest{}, false
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", format, got, err, want)
		}
		for _, size := range []int{0, 100, TrailerSize, len(data) - 1} {
			if _, err := ReadTrailer(bytes.NewReader(data[:size]), int64(size)); !errors.Is(err, ErrNoTrailer) {
				t.Errorf("%s, cut to %d bytes: %v", format, size, err)
			}
		}
	}
}
