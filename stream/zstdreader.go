package stream

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A zstdReader reads frames ahead, on the caller's goroutine, and decompresses each on one of its
// own, which ends with it.
type zstdReader struct {
	src    *source
	stream *digester
	dec    *zstd.Decoder
	whole  int64
	left   int64 // bytes of the image in frames not yet read
	ahead  int   // how many jobs may run at once
	queue  []*decodeJob
	spare  []*decodeJob
	out    [2]*decodeJob // handed out by the last two calls of next, newest first
	err    error         // why there are no more frames
}

// A decodeJob is a frame on its way to being a piece of the image.
type decodeJob struct {
	frame, piece []byte
	at           int64 // where in the stream the frame begins
	err          error
	busy         sync.WaitGroup
}

func newZstdReader(src *source, stream *digester, n int) (*zstdReader, error) {
	dec, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(n),
		zstd.WithDecoderMaxWindow(PieceSize),
		zstd.WithDecoderMaxMemory(PieceSize),
		zstd.WithDecodeAllCapLimit(true),
	)
	if err != nil {
		panic("stream: internal error: " + err.Error())
	}
	r := &zstdReader{src: src, stream: stream, dec: dec, ahead: n + 1}
	if err := r.first(); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// first decodes the first frame, which begins with the header of the image.
func (r *zstdReader) first() error {
	header, err := r.header()
	if err != nil {
		return err
	}
	if header.check() != nil {
		return r.foreign(header)
	}
	job, err := r.start(header)
	if err != nil {
		return err
	}
	job.busy.Wait()
	if job.err != nil {
		return job.err
	}
	if len(job.piece) < imageHeaderLen {
		return fmt.Errorf("%w: its first frame holds %d bytes", ErrFormat, len(job.piece))
	}
	r.whole, err = imageSize(job.piece)
	if err != nil {
		return err
	}
	if want := min(r.whole, PieceSize); header.content != want {
		return r.wrongSize(header.content)
	}
	r.left = r.whole - header.content
	return nil
}

// wrongSize returns the error of a first frame of the wrong size: a small stream that plain zstd
// compressed, or damage.
func (r *zstdReader) wrongSize(size int64) error {
	if size == r.whole+TrailerSize {
		return fmt.Errorf("%w: it contains a raw stream", ErrPlainZstd)
	}
	return fmt.Errorf("%w: the frame at byte 0 holds %d bytes", ErrCorrupt, size)
}

func (r *zstdReader) size() int64 { return r.whole }

func (r *zstdReader) next() ([]byte, error) {
	if used := r.out[1]; used != nil {
		r.spare = append(r.spare, used)
	}
	r.out[0], r.out[1] = nil, r.out[0]
	for r.err == nil && r.left > 0 && len(r.queue) <= r.ahead {
		r.err = r.readAhead()
	}
	if len(r.queue) == 0 {
		if r.err == nil {
			return nil, io.EOF
		}
		return nil, r.err
	}
	job := r.queue[0]
	job.busy.Wait()
	r.queue = append(r.queue[:0], r.queue[1:]...)
	r.out[0] = job
	return job.piece, job.err
}

// readAhead reads the next frame and starts to decompress it.
func (r *zstdReader) readAhead() error {
	header, err := r.header()
	if err != nil {
		return err
	}
	reason := header.check()
	if want := min(r.left, PieceSize); reason == nil && header.content != want {
		reason = fmt.Errorf("its content is %d bytes instead of %d", header.content, want)
	}
	if reason != nil {
		return fmt.Errorf("%w: the frame at byte %d: %w", ErrCorrupt, r.src.size, reason)
	}
	r.left -= header.content
	_, err = r.start(header)
	return err
}

// header returns the header of the next frame, without reading it.
func (r *zstdReader) header() (frameHeader, error) {
	data, err := r.src.peek(maxFrameHeader)
	if err != nil {
		return frameHeader{}, err
	}
	if !begins(data, zstdMagic) {
		return frameHeader{}, fmt.Errorf("%w: expected a frame of the image at byte %d", ErrCorrupt, r.src.size)
	}
	header, err := parseFrameHeader(data)
	if err != nil {
		return header, r.truncated(io.EOF)
	}
	return header, nil
}

// start reads a frame and decompresses it in the background.
func (r *zstdReader) start(header frameHeader) (*decodeJob, error) {
	job := r.newJob()
	job.at = r.src.size
	frame, err := readFrame(r.src, job.frame[:0], header.size)
	job.frame = frame
	if err != nil {
		return nil, r.truncated(err)
	}
	r.stream.start(frame)
	r.queue = append(r.queue, job)
	job.busy.Go(func() { job.decode(r.dec, int(header.content)) })
	return job, nil
}

func (r *zstdReader) newJob() *decodeJob {
	if n := len(r.spare); n > 0 {
		job := r.spare[n-1]
		r.spare = r.spare[:n-1]
		return job
	}
	return new(decodeJob)
}

func (j *decodeJob) decode(dec *zstd.Decoder, size int) {
	if cap(j.piece) < size {
		j.piece = make([]byte, 0, size)
	}
	j.piece, j.err = dec.DecodeAll(j.frame, j.piece[:0:size])
	if j.err == nil && len(j.piece) != size {
		j.err = errors.New("it is shorter than its header says")
	}
	if j.err != nil {
		j.piece, j.err = nil, fmt.Errorf("%w: the frame at byte %d: %w", ErrCorrupt, j.at, j.err)
	}
}

func (r *zstdReader) truncated(err error) error {
	if err != io.EOF {
		return err
	}
	return fmt.Errorf("%w: it ends within the image, at byte %d", ErrTruncated, r.src.size)
}

func (r *zstdReader) close() {
	for _, job := range r.queue {
		job.busy.Wait()
	}
	r.stream.wait()
	r.dec.Close()
	r.queue, r.spare, r.out = nil, nil, [2]*decodeJob{}
}

// foreign returns the error of a first frame not in our format: ErrPlainZstd if it holds a
// database, else ErrFormat.
func (r *zstdReader) foreign(header frameHeader) error {
	data := r.sniff(header)
	if len(data) < imageHeaderLen {
		return fmt.Errorf("%w: zstd data without a database", ErrFormat)
	}
	size, err := imageSize(data)
	switch {
	case err != nil:
		return fmt.Errorf("%w: zstd data without a database", ErrFormat)
	case header.content == size:
		return fmt.Errorf("%w: it contains a bare database image", ErrPlainZstd)
	case header.content == size+TrailerSize:
		return fmt.Errorf("%w: it contains a raw stream", ErrPlainZstd)
	}
	return fmt.Errorf("%w: it contains a database image or a raw stream", ErrPlainZstd)
}

// sniff decompresses the first block of any frame: it gives the block a header of its own, which
// needs little memory.
func (r *zstdReader) sniff(header frameHeader) []byte {
	if _, err := r.src.append(nil, header.size); err != nil {
		return nil
	}
	const plain = zstdMagic + "\x00\x38" // no flags, a window of 128 KiB
	block, _, err := readBlock(r.src, []byte(plain))
	if err != nil {
		return nil
	}
	block[len(plain)] |= 1 // mark it as the last
	data, err := r.dec.DecodeAll(block, make([]byte, 0, maxBlock))
	if err != nil {
		return nil
	}
	return data
}
