package engine

import (
	"context"
	"io"
	"os"
)

// An Image is a private copy of a database, for queries. Its methods are safe for concurrent use
// until Close.
type Image struct {
	name  string // for messages
	info  Info
	file  *os.File
	more  []string // pragmas
	close func() error
}

// ReadImage reads r to its end into a private temporary file and checks it as [Install] does, for
// queries. name stands for it in errors. r must return io.EOF only if the image is whole. Errors
// are of type [*Error], or those of r and the context. The caller must close the image.
func ReadImage(ctx context.Context, r io.Reader, name string, opts VerifyOptions) (*Image, error) {
	staged := &stagedImage{
		where: chooseTempDir(opts.TempDir), name: name, check: opts.Check, size: opts.Size, progress: opts.Progress,
	}
	info, err := staged.stage(ctx, r)
	if err != nil {
		staged.Close()
		return nil, err
	}
	return &Image{name, info, staged.file, nil, staged.Close}, nil
}

// Image returns the copy for queries. It requires [SnapshotOptions.Queryable], and is valid until
// the snapshot is closed.
func (s *Snapshot) Image() *Image {
	return &Image{s.source, s.info, s.file, s.residence.forReading(), func() error { return nil }}
}

// Info returns the description of the image.
func (i *Image) Info() Info { return i.info }

// Close removes the private copy. It is idempotent.
func (i *Image) Close() error { return i.close() }
