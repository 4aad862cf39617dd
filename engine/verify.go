package engine

import (
	"context"
	"io"
)

// VerifyOptions of [Verify]. The zero value is right.
type VerifyOptions struct {
	// Check is the check of the image.
	Check Check
	// TempDir is where the image is put meanwhile, as in SnapshotOptions.
	TempDir string
	// Size is how many bytes are expected; 0 if not known.
	Size int64
	// Progress, if not nil, is called from the calling goroutine.
	Progress func(Progress)
}

// Verify is like [Land], and removes the image.
func Verify(ctx context.Context, r io.Reader, name string, opts VerifyOptions) (Info, error) {
	image, err := Land(ctx, r, name, opts)
	if err != nil {
		return Info{}, err
	}
	return image.Info(), image.Close()
}
