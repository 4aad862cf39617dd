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
// proven, or, after Defer, until Prove has returned nil.
type Reader struct {
	src    *source
	opts   ReaderOptions
	format Format
	body   bodyReader // nil until the format is known
	image  *digester
	stream *digester // of the whole stream; in a raw one, image
	chunk  []byte    // of the image, not yet read
	tail   []byte    // the trailer, with its frame
	later  bool      // Prove is given the hash of the image
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

// Summary describes what was read. It is valid once the stream is proven.
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
	}
	if !r.later {
		r.image.start(r.chunk)
	}
	if r.err == io.EOF {
		r.err = r.finish()
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
