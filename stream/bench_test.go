package stream

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"runtime"
	"testing"
)

// benchImage is 32 MiB, half of it text and half of it noise.
func benchImage(b *testing.B) []byte {
	return largeImage(b, 32<<20, func(page []byte, number int) {
		half := len(page) / 2
		text(page[:half], number)
		noise(page[half:], number)
	})
}

func BenchmarkWriter(b *testing.B) {
	image := benchImage(b)
	hashed := sha256.New()
	hashed.Write(image)
	for _, test := range []struct {
		name string
		opts WriterOptions
	}{
		{"raw", WriterOptions{}},
		{"raw-hashed", WriterOptions{Hash: func() (hash.Hash, error) { return sha256.New(), nil }}},
		{"zstd-1", WriterOptions{Format: Zstd, Level: LevelFastest}},
		{"zstd-default", WriterOptions{Format: Zstd}},
	} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/workers=%d", test.name, workers), func(b *testing.B) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(workers))
				opts := test.opts
				opts.Size, opts.Workers = int64(len(image)), workers
				b.SetBytes(opts.Size)
				for b.Loop() {
					w, err := NewWriter(io.Discard, opts)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.Copy(w, bytes.NewReader(image)); err != nil {
						b.Fatal(err)
					}
					if err := w.Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkReader(b *testing.B) {
	image := benchImage(b)
	for _, format := range formats {
		stream, _ := encode(b, image, WriterOptions{Format: format})
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/workers=%d", format, workers), func(b *testing.B) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(workers))
				b.SetBytes(int64(len(image)))
				for b.Loop() {
					r := NewReader(bytes.NewReader(stream), ReaderOptions{Workers: workers})
					if _, err := io.Copy(io.Discard, r); err != nil {
						b.Fatal(err)
					}
					r.Close()
				}
			})
		}
	}
}
