package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// A CheckpointMode is a mode of checkpointing. See
// https://www.sqlite.org/pragma.html#pragma_wal_checkpoint.
type CheckpointMode string

const (
	CheckpointPassive  CheckpointMode = "passive"  // as much as possible without waiting
	CheckpointFull     CheckpointMode = "full"     // all of the WAL, waiting for writers and readers
	CheckpointRestart  CheckpointMode = "restart"  // like full, and the next writer restarts the WAL
	CheckpointTruncate CheckpointMode = "truncate" // like restart, and the WAL is truncated to 0 bytes
)

// CheckpointOptions are the options of [Checkpoint]. The zero value means a passive checkpoint.
type CheckpointOptions struct {
	Mode CheckpointMode
	// BusyTimeout bounds the wait for other connections. Zero means [DefaultBusyTimeout], a
	// negative one not to wait.
	BusyTimeout time.Duration
}

// CheckpointResult is what a checkpoint did. Counts are WAL frames, of one page each.
type CheckpointResult struct {
	WAL          bool // false: not in WAL mode, nothing was done
	Busy         bool // blocked until the timeout, unless the mode is passive
	Pages        int  // in the WAL
	Checkpointed int  // of these, now in the database file
	Complete     bool // all of the WAL has been checkpointed
}

// Checkpoint checkpoints the write-ahead log of the database path. It is the only function of this
// package that writes to a source. It closes its connection like any application: if no other
// connection is open, the -wal and -shm are removed. A checkpoint that others block is not an
// error, but [CheckpointResult.Busy]; a database that cannot be opened in time is [KindBusy].
// Errors are of type [*Error], or the context's.
func Checkpoint(ctx context.Context, path string, opts CheckpointOptions) (CheckpointResult, error) {
	src, err := openSource("checkpoint", path)
	if err != nil {
		return CheckpointResult{}, err
	}
	defer src.Close()
	if !src.header.WAL() {
		return CheckpointResult{Complete: true}, nil
	}
	if name, shared, err := networkFilesystem(src.path); err == nil && shared {
		return CheckpointResult{}, &Error{Kind: KindUnlocked, Op: "checkpoint", Path: path,
			Err: fmt.Errorf("it is on %s, where locks may not reach its application", name)}
	}
	var result CheckpointResult
	err = src.retry(ctx, "checkpoint", opts.BusyTimeout, func() (err error) {
		result, err = src.checkpoint(ctx, opts)
		return err
	})
	if err != nil {
		return CheckpointResult{}, databaseError("checkpoint", path, err)
	}
	return result, nil
}

func (s *sourceFile) checkpoint(ctx context.Context, opts CheckpointOptions) (result CheckpointResult, err error) {
	c, err := s.openForCheckpoint()
	if err != nil {
		return CheckpointResult{}, err
	}
	if c == nil {
		return CheckpointResult{WAL: true, Complete: true}, nil
	}
	defer s.owner.Do(c.Close)
	if opts.Mode != "" && opts.Mode != CheckpointPassive {
		return checkpointWaiting(ctx, c, opts)
	}
	result, err = runCheckpoint(ctx, c, CheckpointPassive)
	if errors.Is(err, errCheckpointing) {
		return CheckpointResult{WAL: true}, nil // a passive checkpoint neither waits nor says busy
	}
	return result, err
}

// openForCheckpoint opens the database for writing, unless its WAL is empty. Until then it holds
// our lock, so that no application that closes removes the -wal and -shm that were found: SQLite
// would create new ones.
func (s *sourceFile) openForCheckpoint() (*conn, error) {
	locked, err := s.lock()
	if err != nil {
		return nil, err
	}
	if locked {
		defer unlockShared(s.file)
	}
	state, _, err := s.survey("checkpoint")
	if err != nil {
		return nil, err
	}
	if state.wal != nonEmpty {
		return nil, nil
	}
	if err := s.checkOwner(); err != nil {
		return nil, err
	}
	return s.connect([]string{"-wal"}, "mode=rw", "_busy_timeout=0")
}

// errCheckpointing comes with a result that is busy. SQLite does not call the busy handler in this
// case.
var errCheckpointing = errors.New("another connection is checkpointing")

// A checkpoint that waits for readers keeps writers out meanwhile. So it waits for a slice of time
// only, and then pauses to let them in.
const (
	waitSlice = 15 * time.Millisecond
	waitPause = 10 * waitSlice
)

// checkpointWaiting runs a checkpoint that others can block. A passive checkpoint before each
// attempt leaves little work for the time in which writers wait.
func checkpointWaiting(ctx context.Context, c *conn, opts CheckpointOptions) (result CheckpointResult, err error) {
	timeout := opts.BusyTimeout
	if timeout == 0 {
		timeout = DefaultBusyTimeout
	}
	deadline := time.Now().Add(timeout)
	if err := c.exec(ctx, fmt.Sprintf("PRAGMA busy_timeout=%d", waitSlice.Milliseconds())); err != nil {
		return CheckpointResult{}, err
	}
	for {
		before, err := runCheckpoint(ctx, c, CheckpointPassive)
		if err != nil && !errors.Is(err, errCheckpointing) {
			return CheckpointResult{}, err
		}
		result, err = runCheckpoint(ctx, c, opts.Mode)
		if err != nil && !errors.Is(err, errCheckpointing) {
			return CheckpointResult{}, err
		}
		if !result.Busy {
			if opts.Mode == CheckpointTruncate { // SQLite counts after truncating: 0 of 0
				result.Pages, result.Checkpointed = before.Pages, before.Pages
			}
			return result, nil
		}
		if !time.Now().Add(waitPause).Before(deadline) {
			return result, nil
		}
		select {
		case <-ctx.Done():
			return CheckpointResult{}, ctx.Err()
		case <-time.After(waitPause):
		}
	}
}

func runCheckpoint(ctx context.Context, c *conn, mode CheckpointMode) (CheckpointResult, error) {
	rows, err := c.query(ctx, fmt.Sprintf("PRAGMA wal_checkpoint(%s)", mode))
	if err != nil {
		return CheckpointResult{}, err
	}
	var counts [3]int64
	for i := range counts {
		var ok bool
		if counts[i], ok = rows[0][i].(int64); !ok {
			return CheckpointResult{}, fmt.Errorf("wal_checkpoint: unexpected answer %v", rows)
		}
	}
	busy, pages, checkpointed := counts[0] != 0, int(counts[1]), int(counts[2])
	switch {
	case pages < 0 && busy:
		return CheckpointResult{WAL: true, Busy: true}, errCheckpointing
	case pages < 0: // the journal mode was changed since the header was read
		return CheckpointResult{Complete: true}, nil
	}
	complete := !busy && pages == checkpointed
	return CheckpointResult{true, busy, pages, checkpointed, complete}, nil
}

// checkOwner refuses to create a -wal or -shm that the application could not write: they would
// belong to the caller.
func (s *sourceFile) checkOwner() error {
	uid := os.Geteuid()
	if s.owner != nil || uid == ownerID(s.info) {
		return nil
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(s.path + suffix); errors.Is(err, fs.ErrNotExist) {
			return &Error{Kind: KindNotOwner, Op: "checkpoint", Path: s.name,
				Err: fmt.Errorf("it would create a %s that belongs to uid %d, not to the database's owner, uid %d",
					suffix, uid, ownerID(s.info))}
		}
	}
	return nil
}
