package stream

import (
	"fmt"
	"io"
	"io/fs"
)

// ReaderOptions say what a [Reader] accepts. The zero value demands a trailer.
type ReaderOptions struct {
	// ImageSHA256, if not nil, is the digest that the image must have. With it the trailer may be missing.
	ImageSHA256 *Digest
	// StreamSHA256, if not nil, is the digest that the whole stream must have, as a sidecar tells it. With it the
	// trailer may be missing.
	StreamSHA256 *Digest
	// Unproven accepts an image that nothing vouches for, by its length alone. [Summary.Proven] is false then.
	Unproven bool
	// Workers is the number of goroutines that decompress; 0 is one per CPU up to 4.
	Workers int
}

// A Reader reads the image out of a stream of either form, which it finds out by itself. Its errors are final: after
// one, every call returns it.
//
// What it reads is tentative until Read has returned [io.EOF], which says that the whole stream was proven.
type Reader struct {
	src    *source
	opts   ReaderOptions
	format Format
	body   bodyReader // nil until the form is known
	image  *digester
	stream *digester // all bytes; the same as image where they are the image
	chunk  []byte    // of the image, not yet read
	sum    Summary   // once all is proven
	err    error
}

// A bodyReader takes the image out of its form.
type bodyReader interface {
	// size is the length of the image.
	size() int64
	// next gives the next bytes of the image, and io.EOF after its last. They stay as they are until the next but
	// one call.
	next() ([]byte, error)
	// close waits for what still runs and frees it.
	close()
}

// NewReader begins to read a stream. It does not read from src yet. Close must be called.
func NewReader(src io.Reader, opts ReaderOptions) *Reader {
	return &Reader{src: newSource(src), opts: opts, image: newDigester()}
}

// ImageSize is the length of the image in bytes, as its header has it. It reads no more of the stream than the
// beginning, the first frame of a compressed one.
func (r *Reader) ImageSize() (int64, error) {
	if r.body != nil {
		return r.body.size(), nil
	}
	if r.err == nil {
		r.err = r.open()
	}
	if r.err != nil {
		return 0, r.err
	}
	return r.body.size(), nil
}

// Read reads the next bytes of the image. It returns [io.EOF] only when the image, the trailer and the end of the
// stream have been found to be right.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := r.advance(); err != nil {
		return 0, err
	}
	n := copy(p, r.chunk)
	r.chunk = r.chunk[n:]
	return n, nil
}

// WriteTo writes what is left of the image to w, without copying it. It returns nil only where Read would return
// [io.EOF]. [io.Copy] uses it.
func (r *Reader) WriteTo(w io.Writer) (n int64, err error) {
	for {
		if err := r.advance(); err == io.EOF {
			return n, nil
		} else if err != nil {
			return n, err
		}
		m, err := w.Write(r.chunk)
		n += int64(m)
		r.chunk = r.chunk[m:]
		if err == nil && len(r.chunk) > 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return n, err
		}
	}
}

// Summary is what was read. It is valid after Read has returned [io.EOF].
func (r *Reader) Summary() Summary { return r.sum }

// Close frees what the Reader holds; none of its goroutines is left when it returns. It does not close the source, and
// proves nothing. It is idempotent.
func (r *Reader) Close() error {
	r.image.wait()
	if r.body != nil {
		r.body.close()
	}
	if r.err == nil {
		r.err = fmt.Errorf("stream: read: %w", fs.ErrClosed)
	}
	r.chunk = nil
	return nil
}

// advance sees to it that there is a chunk to read.
func (r *Reader) advance() error {
	if len(r.chunk) > 0 || r.err != nil {
		return r.readable()
	}
	if r.body == nil {
		r.err = r.open()
	}
	if r.err == nil {
		r.chunk, r.err = r.body.next()
		r.image.start(r.chunk)
	}
	if r.err == io.EOF {
		r.err = r.prove()
	}
	return r.readable()
}

func (r *Reader) readable() error {
	if len(r.chunk) > 0 {
		return nil
	}
	return r.err
}

// open finds out which form the stream has.
func (r *Reader) open() error {
	head, err := r.src.peek(imageHeaderLen)
	if err != nil {
		return err
	}
	switch {
	case len(head) == 0:
		return ErrEmpty
	case begins(head, zstdMagic):
		return r.openZstd()
	case begins(head, imageMagic):
		return r.openRaw()
	default:
		return fmt.Errorf("%w: neither a SQLite database nor zstd data", ErrFormat)
	}
}

func (r *Reader) openRaw() error {
	body, err := newRawReader(r.src)
	if err != nil {
		return err
	}
	r.format, r.body = Raw, body
	r.stream = r.image // what is emitted is what is hashed, and the trailer follows
	return nil
}

func (r *Reader) openZstd() error {
	stream := newDigester()
	body, err := newZstdReader(r.src, stream, workers(r.opts.Workers))
	if err != nil {
		return err
	}
	r.format, r.body, r.stream = Zstd, body, stream
	return nil
}

// begins reports whether data begins like prefix, as far as it goes.
func begins(data []byte, prefix string) bool {
	n := min(len(data), len(prefix))
	return string(data[:n]) == prefix[:n]
}

// prove checks all that follows the image, and returns io.EOF if the stream is right.
func (r *Reader) prove() error {
	sum := Summary{Format: r.format, ImageSize: r.body.size(), ImageSHA256: r.image.sum()}
	tail, err := r.readTail()
	if err != nil {
		return err
	}
	if len(tail) > 0 {
		sum.Trailer = true
		if sum.Check, err = checkTrailer(tail[len(tail)-TrailerSize:], sum); err != nil {
			return err
		}
	}
	if err := r.end(); err != nil {
		return err
	}
	r.stream.start(tail)
	sum.StreamSize, sum.StreamSHA256 = r.src.size, r.stream.sum()
	if sum.Proven, err = r.opts.judge(sum); err != nil {
		return err
	}
	r.sum = sum
	return io.EOF
}

// readTail reads the trailer, with what it is wrapped in. It gives nothing where the stream ends with the image.
func (r *Reader) readTail() ([]byte, error) {
	mark := trailerMark
	if r.format == Zstd {
		mark = trailerFrameHeader + trailerMark
	}
	tail := make([]byte, len(mark)-len(trailerMark)+TrailerSize)
	n, err := r.src.full(tail)
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

// end demands the end of the input.
func (r *Reader) end() error {
	next, err := r.src.peek(1)
	if err == nil && len(next) > 0 {
		err = fmt.Errorf("%w: something follows the trailer", ErrTrailingData)
	}
	return err
}

// checkTrailer compares the trailer with the image before it, and gives the check it tells of.
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

// judge says whether a stream is proven, or fails if it must be and is not.
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
