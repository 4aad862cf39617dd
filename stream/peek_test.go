package stream

import (
	"bytes"
	"errors"
	"testing"
)

func TestReadTrailer(t *testing.T) {
	t.Parallel()
	grows := largeImage(t, 4<<20, noise) // if it is compressed
	noise(grows[100:2*65536], 1)
	for _, c := range []struct {
		format Format
		image  []byte
	}{{Raw, smallImage(t)}, {Zstd, smallImage(t)}, {Zstd, grows}} {
		format := c.format
		data, want := encode(t, c.image, WriterOptions{Format: format, Check: "quick"})
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
