package stream

import (
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// maxWorkers bounds the memory on machines with many CPUs: a worker needs about 4 MiB.
const maxWorkers = 4

func workers(n int) int {
	if n > 0 {
		return n
	}
	return min(runtime.GOMAXPROCS(0), maxWorkers)
}

// A zstdWriter compresses the image piece by piece on several goroutines and writes the frames in
// order, on the caller's. Every goroutine handles one piece and ends with it.
type zstdWriter struct {
	dst   *output
	image *digester // nil if the caller hashes
	enc   *zstd.Encoder
	start func(func()) // starts a goroutine
	ahead int          // how many jobs may run at once
	queue []*encodeJob // under way, oldest first
	spare []*encodeJob
	job   *encodeJob // being filled
}

// An encodeJob is a piece of the image on its way to being a frame.
type encodeJob struct {
	piece, frame []byte
	busy         sync.WaitGroup
}

func newZstdWriter(dst *output, image *digester, opts WriterOptions) *zstdWriter {
	n := workers(opts.Workers)
	w := &zstdWriter{dst: dst, image: image, enc: newEncoder(opts.Level.encoder(), n), start: opts.Go, ahead: n + 1}
	if w.start == nil {
		w.start = func(f func()) { go f() }
	}
	return w
}

func newEncoder(level zstd.EncoderLevel, n int) *zstd.Encoder {
	enc, err := zstd.NewWriter(nil,
		zstd.WithWindowSize(PieceSize),
		zstd.WithEncoderLevel(level),
		zstd.WithEncoderConcurrency(n),
		zstd.WithSingleSegment(true),
		zstd.WithEncoderCRC(true),
		zstd.WithLowerEncoderMem(true),
	)
	if err != nil {
		panic("stream: internal error: " + err.Error())
	}
	return enc
}

func (w *zstdWriter) buffer() []byte {
	if w.job == nil {
		w.job = w.newJob()
	}
	return w.job.piece[len(w.job.piece):PieceSize]
}

func (w *zstdWriter) newJob() *encodeJob {
	if n := len(w.spare); n > 0 {
		job := w.spare[n-1]
		w.spare = w.spare[:n-1]
		return job
	}
	return &encodeJob{piece: make([]byte, 0, PieceSize), frame: make([]byte, 0, maxFrame)}
}

func (w *zstdWriter) write(p []byte) error {
	for len(p) > 0 {
		n := copy(w.buffer(), p)
		p = p[n:]
		w.job.piece = w.job.piece[:len(w.job.piece)+n]
		if len(w.job.piece) < PieceSize {
			continue
		}
		if err := w.compress(); err != nil {
			return err
		}
	}
	return nil
}

// compress starts to compress the filled piece, and writes the oldest frame if enough are under
// way.
func (w *zstdWriter) compress() error {
	job := w.job
	w.job = nil
	w.queue = append(w.queue, job)
	if w.image != nil {
		w.image.start(job.piece)
	}
	job.busy.Add(1)
	w.start(func() {
		defer job.busy.Done()
		job.frame = w.enc.EncodeAll(job.piece, job.frame[:0])
	})
	if len(w.queue) <= w.ahead {
		return nil
	}
	return w.emit()
}

// emit writes the oldest frame.
func (w *zstdWriter) emit() error {
	job := w.queue[0]
	job.busy.Wait()
	w.queue = append(w.queue[:0], w.queue[1:]...)
	err := w.dst.write(job.frame)
	job.piece = job.piece[:0]
	w.spare = append(w.spare, job)
	return err
}

func (w *zstdWriter) flush() error {
	if w.job != nil && len(w.job.piece) > 0 {
		if err := w.compress(); err != nil {
			return err
		}
	}
	for len(w.queue) > 0 {
		if err := w.emit(); err != nil {
			return err
		}
	}
	return nil
}

func (w *zstdWriter) close() {
	for _, job := range w.queue {
		job.busy.Wait()
	}
	if w.image != nil {
		w.image.wait()
	}
	w.queue, w.spare, w.job = nil, nil, nil
	w.enc.Close()
}
