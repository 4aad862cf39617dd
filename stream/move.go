package stream

import (
	"io"
	"syscall"
)

// ReadFrom writes what it reads from r until EOF, in large pieces. [io.Copy] uses it.
//
// On Linux it does not read a file, but has the kernel send it, if r is an [io.SectionReader] of an
// [os.File], or of anything else with a SyscallConn, that is the whole image, the stream is Raw,
// Hash is set, and dst is a [Sink] that is a pipe or a socket. The pipe then refers to the pages of
// the file until its reader has read them: until then the file must not be written to or truncated,
// even if this process has ended. It may be unlinked.
func (w *Writer) ReadFrom(r io.Reader) (n int64, err error) {
	if err := w.usable(); err != nil {
		return 0, err
	}
	if n, w.err = w.move(r); w.err != nil {
		return n, w.err
	}
	for {
		m, readErr := fill(r, w.body.buffer())
		if err := w.take(w.body.buffer()[:m]); err != nil {
			w.err = err
			return n, err
		}
		n += int64(m)
		if readErr == io.EOF {
			return n, nil
		}
		if readErr != nil {
			return n, readErr
		}
	}
}

// fill reads until p is full, or until an error, such as io.EOF.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	return n, err
}

// move has the kernel send what it can of r, and advances r's offset past that.
func (w *Writer) move(r io.Reader) (n int64, err error) {
	image, file, offset := w.movable(r)
	if file == nil {
		return 0, nil
	}
	head := make([]byte, imageHeaderLen)
	if _, err := image.ReadAt(head, 0); err != nil {
		return 0, nil // Read reports a better error
	}
	if err := w.checkHead(head); err != nil {
		return 0, err
	}
	for w.left > 0 {
		m, err := w.dst.w.(mover).move(file, offset+n, w.left)
		n += m
		w.dst.size += m
		w.count(m)
		if err != nil {
			return n, err
		}
		if m == 0 {
			break
		}
	}
	_, err = image.Seek(n, io.SeekStart)
	return n, err
}

// movable returns the file behind r, and the offset there, if the whole image can be moved,
// because this process does not need its bytes. Otherwise file is nil.
func (w *Writer) movable(r io.Reader) (image *io.SectionReader, file syscall.RawConn, offset int64) {
	image, ok := r.(*io.SectionReader)
	_, capable := w.dst.w.(mover)
	if !ok || !capable || w.opts.Format != Raw || w.opts.Hash == nil || w.left != w.opts.Size {
		return nil, nil, 0
	}
	if at, err := image.Seek(0, io.SeekCurrent); err != nil || at != 0 || image.Size() != w.left || len(w.head) > 0 {
		return nil, nil, 0
	}
	outer, offset, _ := image.Outer()
	described, ok := outer.(syscall.Conn)
	if !ok {
		return nil, nil, 0
	}
	file, err := described.SyscallConn()
	if err != nil {
		return nil, nil, 0
	}
	return image, file, offset
}
