package engine

import (
	"context"
	"io"
)

// VerifyOptions are the options of [Verify] and [ReadImage]. The zero value is ready for use.
type VerifyOptions struct {
	// Check is the check of the image.
	Check Check
	// TempDir is the directory for the image, as in [SnapshotOptions].
	TempDir string
	// Size is the expected length of the image in bytes; 0 if not known.
	Size int64
	// Progress, if not nil, is called from the calling goroutine.
	Progress func(Progress)
}

// Verify is like [ReadImage], and removes the image again.
func Verify(ctx context.Context, r io.Reader, name string, opts VerifyOptions) (Info, error) {
	image, err := ReadImage(ctx, r, name, opts)
	if err != nil {
		return Info{}, err
	}
	return image.Info(), image.Close()
}
