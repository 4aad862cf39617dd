package engine

import (
	"context"
	"errors"
	"hash"
	"io"
	"time"
)

var errStub = errors.New("not implemented yet")

// A Snapshot is a checked private copy of a database.
type Snapshot struct{}

func TakeSnapshot(ctx context.Context, source string, opts Options) (*Snapshot, error) { return nil, errStub }

// Info describes the copy.
func (s *Snapshot) Info() Info { return Info{} }

// Size is the image's length in bytes.
func (s *Snapshot) Size() int64 { return 0 }

// Read reads the image from its start.
func (s *Snapshot) Read(p []byte) (int, error) { return 0, io.EOF }

// Hash waits for and returns a SHA-256 that has consumed the whole image: Sum(nil) is its digest. Each call returns a clone of its own.
func (s *Snapshot) Hash() (hash.Hash, error) { return nil, errStub }

// Commit publishes the copy, durably, as the new file path (Options.Destination).
func (s *Snapshot) Commit(path string) error { return errStub }

// Close removes the private copy. Idempotent.
func (s *Snapshot) Close() error { return nil }

// CheckDestination fails with KindExists, KindSameFile or KindTemp (no such directory) if dest cannot become a new database file.
// It refuses dest, dest-wal, dest-shm, dest-journal that exist (lstat). source may be "" (restore).
func CheckDestination(source, dest string) error { return errStub }

// InstallOptions of [Install].
type InstallOptions struct {
	Check    Check // CheckNone is not accepted by the command; restore always checks
	Size     int64 // expected bytes, for the free-space check; 0 unknown
	Progress func(Progress)
}

// Install lands r beside dst, checks it and publishes it durably; any error of r (other than io.EOF) aborts and is returned wrapped.
func Install(ctx context.Context, r io.Reader, dst string, opts InstallOptions) (Info, error) {
	return Info{}, errStub
}

// VerifyOptions of [Verify].
type VerifyOptions struct {
	Check    Check
	TempDir  string
	Size     int64
	Progress func(Progress)
}

// Verify lands r in the temp directory and checks it.
func Verify(ctx context.Context, r io.Reader, opts VerifyOptions) (Info, error) { return Info{}, errStub }

// A Mode is a kind of checkpoint.
type Mode string

const (
	Passive  Mode = "passive"
	Full     Mode = "full"
	Restart  Mode = "restart"
	Truncate Mode = "truncate"
)

// CheckpointOptions of [Checkpoint]; zero: passive.
type CheckpointOptions struct {
	Mode        Mode
	BusyTimeout time.Duration
}

// CheckpointResult is what a checkpoint did. Counts are frames.
type CheckpointResult struct {
	WAL          bool // false: the database is not in WAL mode, nothing was done
	Busy         bool
	Pages        int // frames in the WAL
	Checkpointed int
	Complete     bool
}

// Checkpoint: a blocked FULL/RESTART/TRUNCATE gives Busy=true and no error; a database that cannot even be opened before the timeout is KindBusy.
func Checkpoint(ctx context.Context, path string, opts CheckpointOptions) (CheckpointResult, error) {
	return CheckpointResult{}, errStub
}

// SQLiteVersion is the version of the SQLite that is compiled in.
func SQLiteVersion() string { return "" }

// Modules lists the virtual table modules that SQLite has here, sorted.
func Modules() ([]string, error) { return nil, errStub }
