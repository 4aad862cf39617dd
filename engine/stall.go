package engine

import (
	"context"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"
)

// stalled is how long a write may take before the file system counts as hanging.
const stalled = atomicfile.Patience

// stallLimit is how long the file system of the copy may hang while the source is locked.
func (o SnapshotOptions) stallLimit() time.Duration {
	if o.Timeout <= 0 {
		return stalled
	}
	return max(min(o.Timeout, stalled), 20*time.Millisecond)
}

// untilStalled calls f. If f hangs for the limit while it holds locks on the source, untilStalled
// drops the locks and fails with [atomicfile.ErrHangs].
func (s *sourceFile) untilStalled(ctx context.Context, limit time.Duration, f func(context.Context) error) error {
	ended, err := s.stall.Run(ctx, limit, f)
	if !ended {
		s.abandoned = true
		s.dropLocks()
	}
	return err
}

// dropLocks takes away every lock on the source that the process holds, SQLite's included, by
// closing a descriptor of each file.
func (s *sourceFile) dropLocks() {
	s.Close()
	sqlitefile.OpenAux(s.path + "-shm").Close()
}
