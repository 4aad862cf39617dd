package stream

import (
	"io"
	"syscall"
)

// move has the kernel send what it can of r, and moves r's offset behind that.
func (w *Writer) move(r io.Reader) (n int64, err error) {
	image, file, offset := w.movable(r)
	if file == nil {
		return 0, nil
	}
	head := make([]byte, imageHeaderLen)
	if _, err := image.ReadAt(head, 0); err != nil {
		return 0, nil // Read explains it better
	}
	if err := w.checkHead(head); err != nil {
		return 0, err
	}
	for w.left > 0 {
		m, err := w.dst.w.(mover).move(file, offset+n, w.left)
		n += m
		w.dst.size += m
		w.took(m)
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
