package stream

import "io"

// An output counts and hashes what is written to w.
type output struct {
	w      io.Writer
	digest *digester // nil if the caller hashes, or under NoStreamHash
	size   int64
}

func (o *output) write(p []byte) error {
	if o.digest != nil {
		o.digest.start(p)
		defer o.digest.wait()
	}
	n, err := o.w.Write(p)
	o.size += int64(n)
	if err == nil && n != len(p) {
		err = io.ErrShortWrite
	}
	return err
}
