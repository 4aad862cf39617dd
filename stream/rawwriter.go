package stream

// bufferSize is the size in bytes of the pieces in which a raw image moves: large enough for few
// system calls, small enough to stay in a CPU's cache between them.
const bufferSize = 256 << 10

// A rawWriter writes the image unchanged.
type rawWriter struct {
	dst *output
	buf []byte
}

func (w *rawWriter) buffer() []byte {
	if w.buf == nil {
		w.buf = make([]byte, bufferSize)
	}
	return w.buf
}

func (w *rawWriter) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	return w.dst.write(p)
}

func (w *rawWriter) flush() error { return nil }

func (w *rawWriter) close() {}
