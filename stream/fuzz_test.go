package stream

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
)

// FuzzReader: no input makes a Reader panic, take much memory, or fail without one of the
// sentinels; and an image that it accepts can be written and read again.
func FuzzReader(f *testing.F) {
	for _, v := range loadVectors(f) {
		f.Add(v.stream)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 32 << 20 // of all allocations together
		var image bytes.Buffer
		var sum Summary
		var err error
		used := allocated(func() {
			r := NewReader(bytes.NewReader(data), ReaderOptions{Unproven: true, Workers: 2})
			defer r.Close()
			_, err = io.Copy(io.Discard, r)
			sum = r.Summary()
		})
		if used > limit {
			t.Errorf("%d MiB were allocated for %d bytes", used>>20, len(data))
		}
		if err != nil {
			if !slices.ContainsFunc(sentinels, func(target error) bool { return errors.Is(err, target) }) {
				t.Errorf("an error of no kind: %v", err)
			}
			return
		}
		r := NewReader(bytes.NewReader(data), ReaderOptions{Unproven: true, Workers: 2})
		defer r.Close()
		if _, err := io.Copy(&image, r); err != nil || r.Summary() != sum {
			t.Fatalf("another result the second time: %v, %+v, %+v", err, r.Summary(), sum)
		}
		again, _ := encode(t, image.Bytes(), WriterOptions{Format: sum.Format, Check: sum.Check,
			NoTrailer: !sum.Trailer})
		_, sum2, err := decode(bytes.NewReader(again), ReaderOptions{ImageSHA256: &sum.ImageSHA256})
		if err != nil || sum2.ImageSize != sum.ImageSize {
			t.Errorf("written anew it is read as %+v, %v, not as %+v", sum2, err, sum)
		}
	})
}
