package stream

import (
	"cmp"
	"errors"
	"fmt"
	"hash"
	"io"
)

var errUnread = errors.New("stream: the stream has not been read to its end")

// Defer leaves the hash of the image to the caller, who can compute it from what it keeps of the
// image while it does something else. Read then returns [io.EOF] at the end of the stream; only
// Prove tells whether it was whole. Defer must be called before the first Read.
func (r *Reader) Defer() { r.later = true }

// Prove verifies a stream after Defer and io.EOF, from a SHA-256 that has consumed the image.
func (r *Reader) Prove(image hash.Hash) error {
	if r.err != io.EOF {
		return cmp.Or(r.err, errUnread)
	}
	r.image.hash = image
	if err := r.prove(); err != nil {
		r.err = err
		return err
	}
	return nil
}

// finish reads what follows the image, and returns io.EOF if that and the image are right.
func (r *Reader) finish() (err error) {
	if r.tail, err = r.readTail(); err != nil {
		return err
	}
	if err := r.end(); err != nil {
		return err
	}
	if !r.later {
		if err := r.prove(); err != nil {
			return err
		}
	}
	return io.EOF
}

// prove verifies the image, once all has been read.
func (r *Reader) prove() (err error) {
	sum := Summary{Format: r.format, ImageSize: r.body.size(), ImageSHA256: r.image.sum()}
	if len(r.tail) > 0 {
		sum.Trailer = true
		if sum.Check, err = checkTrailer(r.tail[len(r.tail)-TrailerSize:], sum); err != nil {
			return err
		}
	}
	r.stream.start(r.tail)
	sum.StreamSize, sum.StreamSHA256 = r.src.size, r.stream.sum()
	if sum.Proven, err = r.opts.judge(sum); err != nil {
		return err
	}
	r.sum = sum
	return nil
}

// readTail reads the trailer, with its frame if it has one. It returns nothing if the stream ends
// with the image.
func (r *Reader) readTail() ([]byte, error) {
	mark := trailerMark
	if r.format == Zstd {
		mark = trailerFrameHeader + trailerMark
	}
	tail := make([]byte, len(mark)-len(trailerMark)+TrailerSize)
	n, err := r.src.readFull(tail)
	switch {
	case err != nil && err != io.EOF:
		return nil, err
	case !begins(tail[:n], mark):
		return nil, fmt.Errorf("%w: what follows the image is not its trailer", ErrTrailingData)
	case n > 0 && n < len(tail):
		return nil, fmt.Errorf("%w: the trailer ends after %d of %d bytes", ErrTruncated, n, len(tail))
	}
	return tail[:n], nil
}

// end fails unless this is the end of the input.
func (r *Reader) end() error {
	next, err := r.src.peek(1)
	if err == nil && len(next) > 0 {
		err = fmt.Errorf("%w: bytes follow the trailer", ErrTrailingData)
	}
	return err
}

// checkTrailer compares the trailer with the image before it, and returns the check that it
// records.
func checkTrailer(line []byte, sum Summary) (string, error) {
	t, err := parseTrailer(line)
	switch {
	case err != nil:
		return "", err
	case t.size != sum.ImageSize:
		return "", fmt.Errorf("%w: the image has %d bytes, its trailer says %d", ErrMismatch, sum.ImageSize, t.size)
	case t.sha256 != sum.ImageSHA256:
		return "", differ("image", sum.ImageSHA256, t.sha256)
	}
	return t.check, nil
}

// judge reports whether the stream is proven. It fails if the options require that and it is not.
func (o ReaderOptions) judge(sum Summary) (proven bool, err error) {
	switch {
	case o.ImageSHA256 != nil && *o.ImageSHA256 != sum.ImageSHA256:
		return false, differ("image", sum.ImageSHA256, *o.ImageSHA256)
	case o.StreamSHA256 != nil && *o.StreamSHA256 != sum.StreamSHA256:
		return false, differ("stream", sum.StreamSHA256, *o.StreamSHA256)
	case sum.Trailer || o.ImageSHA256 != nil || o.StreamSHA256 != nil:
		return true, nil
	case !o.Unproven:
		return false, fmt.Errorf("%w: a bare database image of %d bytes", ErrNoTrailer, sum.ImageSize)
	}
	return false, nil
}

func differ(what string, got, want Digest) error {
	return fmt.Errorf("%w: the %s has SHA-256 %s, expected %s", ErrMismatch, what, got, want)
}
