//go:build !unix

package stream

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

var errNotDirectory = errors.New("not a directory")

func isPlaceholder(*os.File, int) bool { return false }

func writeSome(_ context.Context, f *os.File, _ int, p []byte) (int, error) { return f.Write(p) }

func writeError(_ string, err error) error { return err }

func openStdout(ctx context.Context, f *os.File, timeout time.Duration) (outlet, error) {
	return newSharedOutlet(ctx, f, -1, timeout), nil
}

func openFIFO(context.Context, string, time.Duration) (outlet, error) {
	return nil, fmt.Errorf("stream: named pipe: %w", errors.ErrUnsupported)
}
