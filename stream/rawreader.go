package stream

import (
	"fmt"
	"io"
)

// A rawReader reads the image of a raw stream. Two buffers take turns, so that one can be hashed
// and used while the other is filled.
type rawReader struct {
	src   *source
	bufs  [2][]byte
	whole int64
	left  int64
}

func newRawReader(src *source) (*rawReader, error) {
	head, err := src.peek(imageHeaderLen)
	if err != nil {
		return nil, err
	}
	if len(head) < imageHeaderLen {
		return nil, fmt.Errorf("%w: it ends within the database header", ErrTruncated)
	}
	size, err := imageSize(head)
	if err != nil {
		return nil, err
	}
	r := &rawReader{src: src, whole: size, left: size}
	for i := range r.bufs {
		r.bufs[i] = make([]byte, min(size, bufferSize))
	}
	return r, nil
}

func (r *rawReader) size() int64 { return r.whole }

func (r *rawReader) next() ([]byte, error) {
	if r.left == 0 {
		return nil, io.EOF
	}
	r.bufs[0], r.bufs[1] = r.bufs[1], r.bufs[0]
	n, err := r.src.read(r.bufs[0][:min(r.left, bufferSize)])
	if err == io.EOF {
		err = fmt.Errorf("%w: the image ends after %d of %d bytes", ErrTruncated, r.whole-r.left, r.whole)
	}
	r.left -= int64(n)
	return r.bufs[0][:n], err
}

func (r *rawReader) close() {}
