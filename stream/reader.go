package stream

import (
	"fmt"
	"io"
	"io/fs"
)

// ReaderOptions say what a [Reader] accepts. The zero value requires a trailer.
type ReaderOptions struct {
	// ImageSHA256, if not nil, is the digest that the image must have. With it the trailer may be
	// missing.
	ImageSHA256 *Digest
	// StreamSHA256, if not nil, is the digest that the whole stream must have, as in its sidecar.
	// With it the trailer may be missing.
	StreamSHA256 *Digest
	// Unproven accepts an image of the right length without a trailer or a digest. [Summary.Proven]
	// is false then.
	Unproven bool
	// Workers is the number of goroutines that decompress; 0 is one per CPU up to 4.
	Workers int
}

// A Reader reads the image from a stream, whose [Format] it detects. Its errors are final: after
// one, every call returns it.
//
// The data is tentative until Read has returned [io.EOF], which means that the whole stream was
// proven.
type Reader struct {
	src    *source
	opts   ReaderOptions
	format Format
	body   bodyReader // nil until the format is known
	image  *digester
	stream *digester // of the whole stream; in a raw one, image
	chunk  []byte    // of the image, not yet read
	sum    Summary   // once all is proven
	err    error
}

// A bodyReader decodes the image from one Format.
type bodyReader interface {
	// size returns the length of the image.
	size() int64
	// next returns the next bytes of the image, and io.EOF after the last. They are valid until the
	// call after the next one.
	next() ([]byte, error)
	// close waits for its goroutines and frees its buffers.
	close()
}

// NewReader returns a Reader of the stream from src. It does not read from src yet. Close must be
// called.
func NewReader(src io.Reader, opts ReaderOptions) *Reader {
	return &Reader{src: newSource(src), opts: opts, image: newDigester()}
}

// ImageSize returns the length of the image in bytes, according to its header. It reads only the
// beginning of the stream, the first frame of a compressed one. Its errors are those of Read.
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

// Read reads the next bytes of the image. It returns [io.EOF] only after it has verified the image,
// the trailer and the end of the stream.
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

// WriteTo writes the rest of the image to w, without copying it. It returns nil only where Read
// would return [io.EOF]. [io.Copy] uses it.
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

// Summary describes what was read. It is valid after Read has returned [io.EOF].
func (r *Reader) Summary() Summary { return r.sum }

// Close frees the Reader's resources; its goroutines have ended when it returns. It does not close
// the underlying reader, and proves nothing. It is idempotent.
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

// advance reads the next chunk, unless there is one.
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

// open detects the format of the stream.
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
	r.stream = r.image // the hash of the stream is that of the image, continued over the trailer
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

// begins reports whether data begins with prefix, or is the beginning of it.
func begins(data []byte, prefix string) bool {
	n := min(len(data), len(prefix))
	return string(data[:n]) == prefix[:n]
}

// prove verifies the stream once the image has been read, and returns io.EOF if it is right.
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
