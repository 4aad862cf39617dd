package stream

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"io/fs"
)

// WriterOptions say how a [Writer] works. Only Size has no usable zero value.
type WriterOptions struct {
	Format       Format // "" is Raw
	Level        Level  // of compression, Zstd only; 0 is the default
	Size         int64  // bytes of the image, as in its header
	Check        string // the check that the image has passed: "none", "structural", "quick" or "full"; "" is "none"
	NoTrailer    bool   // leave the trailer out: only a digest kept elsewhere can prove such a stream
	NoStreamHash bool   // leave Summary.StreamSHA256 of a compressed stream zero, which saves a second digest
	Workers      int    // goroutines that compress, Zstd only; 0 is one per CPU up to 4; never changes the output

	// Progress, if not nil, is called with the number of bytes of the image taken so far.
	Progress func(done int64)

	// Go, if not nil, runs functions that compress in goroutines instead of the go statement.
	Go func(f func())

	// Hash, if not nil, saves the Writer hashing the image. Close calls it once; it may block. It
	// returns a SHA-256 that has consumed the whole image and nothing else. The Writer may write to
	// it.
	Hash func() (hash.Hash, error)
}

// StreamSize returns the length in bytes of the stream to be written. That of a compressed stream
// is not known.
func (o WriterOptions) StreamSize() (n int64, known bool) {
	switch {
	case o.Format == Zstd:
		return 0, false
	case o.NoTrailer:
		return o.Size, true
	default:
		return o.Size + TrailerSize, true
	}
}

func (o *WriterOptions) complete() error {
	if o.Format == "" {
		o.Format = Raw
	}
	if o.Check == "" {
		o.Check = "none"
	}
	switch {
	case o.Format != Raw && o.Format != Zstd:
		return fmt.Errorf("stream: unknown format %q", o.Format)
	case o.Size <= 0:
		return fmt.Errorf("%w: %d bytes", ErrImageSize, o.Size)
	case o.Workers < 0:
		return fmt.Errorf("stream: %d workers", o.Workers)
	}
	return validCheck(o.Check)
}

// A Writer writes a database image as a stream. Its errors are final: after one, every call returns
// it.
type Writer struct {
	opts  WriterOptions
	dst   *output
	body  bodyWriter
	image *digester // of the image; nil until Close if the caller hashes
	head  []byte    // the first bytes of the image, until they are enough to check
	left  int64     // bytes of the image still to come
	sum   Summary
	done  bool
	err   error
}

// A bodyWriter encodes the image in one Format.
type bodyWriter interface {
	// buffer returns space for the next bytes of the image, for the caller to fill and then to
	// write.
	buffer() []byte
	// write encodes the next bytes of the image. It does not retain p, unless p is part of its
	// buffer.
	write(p []byte) error
	// flush writes what is still buffered.
	flush() error
	// close waits for its goroutines and frees its buffers.
	close()
}

// NewWriter returns a Writer of a stream to dst. It fails only for invalid options.
//
// The Writer writes at least 64 KiB at a time where it can, so dst needs no buffer. Close must be
// called, also after an error.
func NewWriter(dst io.Writer, opts WriterOptions) (*Writer, error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	w := &Writer{opts: opts, dst: &output{w: dst}, left: opts.Size}
	if opts.Hash == nil {
		w.image = newDigester()
	}
	if opts.Format == Zstd {
		if !opts.NoStreamHash {
			w.dst.digest = newDigester()
		}
		w.body = newZstdWriter(w.dst, w.image, opts)
	} else {
		w.dst.digest = w.image
		w.body = &rawWriter{dst: w.dst}
	}
	return w, nil
}

// Write writes the next bytes of the image. It fails with [ErrImageSize] when they exceed
// [WriterOptions.Size], or when the header of the image gives another size.
func (w *Writer) Write(p []byte) (int, error) {
	if err := w.usable(); err != nil {
		return 0, err
	}
	if err := w.take(p); err != nil {
		w.err = err
		return 0, err
	}
	return len(p), nil
}

// Close completes the image, writes the trailer and frees the Writer's resources. It does not close
// dst. If the image is not whole, which is an [ErrImageSize], or if an earlier call failed, no
// trailer is written. Close is idempotent.
func (w *Writer) Close() error {
	if w.done {
		return w.err
	}
	w.done = true
	if w.err == nil {
		w.err = w.finish()
	}
	w.body.close()
	return w.err
}

// Summary describes what was written. It is valid after Close has returned nil.
func (w *Writer) Summary() Summary { return w.sum }

// StreamSize returns the length of the whole stream in bytes, if it is known yet: that of a
// compressed stream is known after Close.
func (w *Writer) StreamSize() (n int64, known bool) {
	if w.sum.StreamSize > 0 {
		return w.sum.StreamSize, true
	}
	return w.opts.StreamSize()
}

func (w *Writer) usable() error {
	if w.err == nil && w.done {
		return fmt.Errorf("stream: write: %w", fs.ErrClosed)
	}
	return w.err
}

// take checks the next bytes of the image and encodes them.
func (w *Writer) take(p []byte) error {
	if int64(len(p)) > w.left {
		return fmt.Errorf("%w: more than the announced %d bytes", ErrImageSize, w.opts.Size)
	}
	if err := w.checkHead(p); err != nil {
		return err
	}
	if err := w.body.write(p); err != nil {
		return err
	}
	w.count(int64(len(p)))
	return nil
}

func (w *Writer) count(n int64) {
	w.left -= n
	if w.opts.Progress != nil && n > 0 {
		w.opts.Progress(w.opts.Size - w.left)
	}
}

// checkHead fails if the header of the image gives another size: a Reader would look for its end in
// the wrong place.
func (w *Writer) checkHead(p []byte) error {
	if len(w.head) == imageHeaderLen {
		return nil
	}
	w.head = append(w.head, p[:min(len(p), imageHeaderLen-len(w.head))]...)
	if len(w.head) < imageHeaderLen {
		return nil
	}
	size, err := imageSize(w.head)
	if err == nil && size != w.opts.Size {
		err = fmt.Errorf("%w: %d bytes were announced, its header says %d", ErrImageSize, w.opts.Size, size)
	}
	return err
}

func (w *Writer) finish() error {
	if w.left > 0 {
		return fmt.Errorf("%w: %d of the announced %d bytes are missing", ErrImageSize, w.left, w.opts.Size)
	}
	if err := w.body.flush(); err != nil {
		return err
	}
	if err := w.useHash(); err != nil {
		return err
	}
	sum := Summary{Format: w.opts.Format, ImageSize: w.opts.Size, ImageSHA256: w.image.sum(), Proven: true}
	if !w.opts.NoTrailer {
		sum.Trailer, sum.Check = true, w.opts.Check
		if err := w.dst.write(w.tail(sum)); err != nil {
			return err
		}
	}
	sum.StreamSize = w.dst.size
	if w.dst.digest != nil {
		sum.StreamSHA256 = w.dst.digest.sum()
	}
	w.sum = sum
	return nil
}

// useHash takes the caller's hash of the image, if there is one. A raw stream continues it.
func (w *Writer) useHash() error {
	if w.opts.Hash == nil {
		return nil
	}
	h, err := w.opts.Hash()
	if err != nil {
		return err
	}
	if h.Size() != sha256.Size {
		return fmt.Errorf("stream: a hash of %d bytes is not a SHA-256", h.Size())
	}
	w.image = &digester{hash: h}
	if w.opts.Format == Raw {
		w.dst.digest = w.image
	}
	return nil
}

// tail returns the end of the stream: the trailer, in its frame if there is one.
func (w *Writer) tail(sum Summary) []byte {
	line := trailer{sha256: sum.ImageSHA256, size: sum.ImageSize, check: sum.Check}.format()
	if sum.Format == Zstd {
		return append([]byte(trailerFrameHeader), line...)
	}
	return line
}
