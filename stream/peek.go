package stream

import (
	"fmt"
	"io"
)

// ReadTrailer reads the trailer at the end of a stream of size bytes. The Summary is what the
// trailer claims: only a [Reader] proves it, and StreamSHA256 and Proven are zero. ReadTrailer
// fails with [ErrNoTrailer] if there is none.
func ReadTrailer(r io.ReaderAt, size int64) (Summary, error) {
	var data [TrailerSize]byte
	if size < TrailerSize {
		return Summary{}, fmt.Errorf("%w: the input is shorter than one", ErrNoTrailer)
	}
	if _, err := r.ReadAt(data[:], size-TrailerSize); err != nil && err != io.EOF {
		return Summary{}, err
	}
	t, err := parseTrailer(data[:])
	if err != nil {
		return Summary{}, fmt.Errorf("%w: %w", ErrNoTrailer, err)
	}
	sum := Summary{
		Format: Zstd, ImageSize: t.size, ImageSHA256: t.sha256, Check: t.check, StreamSize: size, Trailer: true,
	}
	if size == t.size+TrailerSize {
		sum.Format = Raw
	}
	return sum, nil
}
