package stream

import (
	"bufio"
	"fmt"
	"io"
	"slices"
)

// A source is the input of a Reader. Its first error is final, io.EOF included, and follows all
// bytes read before it.
type source struct {
	r    *bufio.Reader
	size int64 // bytes read
	err  error
}

func newSource(r io.Reader) *source {
	return &source{r: bufio.NewReaderSize(r, 64<<10)}
}

// read reads at least one byte, or fails.
func (s *source) read(p []byte) (n int, err error) {
	for n == 0 && s.err == nil {
		n, s.err = s.r.Read(p)
		s.size += int64(n)
	}
	if n > 0 {
		return n, nil
	}
	return 0, s.failure()
}

// readFull reads len(p) bytes, or fails: with io.EOF if the input ends earlier.
func (s *source) readFull(p []byte) (n int, err error) {
	for n < len(p) {
		m, err := s.read(p[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// peek returns the next n bytes, or fewer if the input ends earlier, without reading them.
func (s *source) peek(n int) ([]byte, error) {
	p, err := s.r.Peek(n)
	if err != nil && err != io.EOF {
		s.err = err
		return nil, s.failure()
	}
	return p, nil
}

// failure marks an error of the input, which is not one of the stream.
func (s *source) failure() error {
	if s.err == io.EOF {
		return io.EOF
	}
	return fmt.Errorf("read stream: %w", s.err)
}

// append reads n bytes and appends them to p.
func (s *source) append(p []byte, n int) ([]byte, error) {
	p = slices.Grow(p, n)
	m, err := s.readFull(p[len(p) : len(p)+n])
	return p[:len(p)+m], err
}
