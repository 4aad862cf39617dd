package stream

import (
	"bufio"
	"fmt"
	"io"
	"slices"
)

// A source is the input of a Reader. Its first error is final, be it io.EOF, and follows all bytes read before it.
type source struct {
	r    *bufio.Reader
	size int64 // bytes taken
	err  error
}

func newSource(r io.Reader) *source {
	return &source{r: bufio.NewReaderSize(r, 64<<10)}
}

// read takes some bytes, at least one unless it fails.
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

// full takes len(p) bytes. With fewer it fails, with io.EOF if that is all there is.
func (s *source) full(p []byte) (n int, err error) {
	for n < len(p) {
		m, err := s.read(p[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// peek looks at the next n bytes, or at fewer where the input ends earlier.
func (s *source) peek(n int) ([]byte, error) {
	p, err := s.r.Peek(n)
	if err != nil && err != io.EOF {
		s.err = err
		return nil, s.failure()
	}
	return p, nil
}

// failure tells an error of the input from what is wrong with the stream.
func (s *source) failure() error {
	if s.err == io.EOF {
		return io.EOF
	}
	return fmt.Errorf("read stream: %w", s.err)
}

// append takes n bytes and appends them to p.
func (s *source) append(p []byte, n int) ([]byte, error) {
	p = slices.Grow(p, n)
	m, err := s.full(p[len(p) : len(p)+n])
	return p[:len(p)+m], err
}
