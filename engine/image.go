package engine

import (
	"context"
	"io"
	"os"
)

// An Image is a private copy of a database that queries can read.
type Image struct {
	name  string // for messages
	info  Info
	file  *os.File
	close func() error
}

// Land reads r to its end into a private temporary file and checks what arrived, as Install would.
// name is what errors call it. r must give io.EOF only if the image is whole.
func Land(ctx context.Context, r io.Reader, name string, opts VerifyOptions) (*Image, error) {
	l := &stagedImage{
		where: chooseTempDir(opts.TempDir), name: name, check: opts.Check, size: opts.Size, progress: opts.Progress,
	}
	info, err := l.stage(ctx, r)
	if err != nil {
		l.Close()
		return nil, err
	}
	return &Image{name, info, l.file, l.Close}, nil
}

// Image returns the copy for queries. It needs SnapshotOptions.Queryable and is valid until the
// snapshot is closed.
func (s *Snapshot) Image() *Image {
	return &Image{s.source, s.info, s.file, func() error { return nil }}
}

// Info describes the image.
func (i *Image) Info() Info { return i.info }

// Close removes the private copy. It is idempotent.
func (i *Image) Close() error { return i.close() }
