package stream

import (
	"context"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// A fileOutlet writes a new file, which gets its name when it is complete.
type fileOutlet struct {
	ctx context.Context
	*atomicfile.File
}

func newFileOutlet(ctx context.Context, path string, place *atomicfile.Place) (*fileOutlet, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if place == nil {
		f, err := atomicfile.Create(path)
		return &fileOutlet{ctx, f}, err
	}
	f, err := place.Create(atomicfile.Base(path))
	return &fileOutlet{ctx, f}, err
}

func (o *fileOutlet) Write(p []byte) (int, error) {
	if err := context.Cause(o.ctx); err != nil {
		return 0, err
	}
	return o.File.Write(p)
}

func (o *fileOutlet) commit() error {
	if err := context.Cause(o.ctx); err != nil {
		return err
	}
	return o.File.Commit()
}

func (o *fileOutlet) close() error { return o.File.Close() }
