package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

// A Prediction is what [TakeSnapshot] would do with a database now.
type Prediction struct {
	Inspection Inspection // empty if the database could not be read at all

	// Err is what TakeSnapshot would fail with, of type [*Error], nil if it would not. Damage that
	// only SQLite's check finds is not predicted.
	Err error
	// Level is the check that the copy would pass with [CheckAuto], and Reason why it would be less
	// than quick.
	Level  Level
	Reason string

	Size     int64         // bytes of the image
	Space    int64         // bytes that the private copies need at once
	TempDir  string        // where they would be made
	Duration time.Duration // an estimate, from the time that reading the start of the file took

	Findings []Finding
}

// predictAttempts is how often a database that changes meanwhile is read.
const predictAttempts = 5

// predictPatience is how long a lock or a journal must last to be more than a commit.
const predictPatience = 250 * time.Millisecond

// Predict reads what [TakeSnapshot] with the same options would read before its first lock, and
// makes the same decisions. It never opens the database with SQLite, takes no lock, creates no file
// and changes nothing. Its only error is the context's: what would fail is in [Prediction.Err].
func Predict(ctx context.Context, source string, opts SnapshotOptions) (Prediction, error) {
	p := Prediction{TempDir: opts.workDir()}
	src, err := openSource("open", source)
	if err != nil {
		p.Err = err
		return p, ctx.Err()
	}
	defer src.Close()
	err = retry(ctx, predictPatience, func() (err error) {
		for range predictAttempts {
			before := src.fileStates()
			p = Prediction{TempDir: p.TempDir}
			if err = p.predict(ctx, src); err == nil || src.fileStates() == before {
				break
			}
		}
		return err
	})
	if errors.Is(err, osfile.ErrLocked) {
		err = src.lockedError()
	}
	if err != nil {
		p.Err = databaseError("open", source, err)
	}
	return p, ctx.Err()
}

// predict returns what TakeSnapshot would fail with.
func (p *Prediction) predict(ctx context.Context, s *sourceFile) error {
	in, look, err := s.inspect(ctx)
	if dirErr := checkWritable(p.TempDir); dirErr != nil {
		return dirErr
	}
	if err != nil {
		return err
	}
	p.Inspection = in
	p.Size = in.PageCount * int64(in.PageSize)
	for _, found := range [][]Finding{s.surroundings(), in.application(), in.walFindings(s)} {
		p.Findings = append(p.Findings, found...)
	}
	if look.err != nil {
		return look.err
	}
	if err := p.predictCopy(ctx, s, look.how); err != nil {
		return err
	}
	p.estimate(s)
	return nil
}

// predictCopy makes the checks of Snapshot.copy and of connectCopy.
func (p *Prediction) predictCopy(ctx context.Context, s *sourceFile, how access) error {
	scratch := int64(0)
	stamps := s.fileStates()
	if how == accessCopy {
		scratch = stamps.main.Size + stamps.wal.Size
		if err := scratchRoom(p.TempDir, stamps); err != nil {
			return err
		}
		if err := checkInodes(p.TempDir, scratchNames); err != nil {
			return err
		}
	}
	whole := extent{int64(p.Inspection.PageSize), p.Inspection.PageCount, how.logged()}
	if _, err := s.checkWhole(ctx, whole); err != nil { // SQLite would find it when it opens the source
		return err
	}
	if err := s.checkCount(p.Inspection.PageCount); err != nil {
		return err
	}
	p.Space = scratch + p.Size
	if err := checkFileSize(p.TempDir, p.Size); err != nil {
		return err
	}
	if err := spaceBeside(p.TempDir, stamps, p.Size)(p.Space); err != nil {
		return err
	}
	return p.predictCheck(ctx, s)
}

// lockedError names the process that holds EXCLUSIVE, if it is known.
func (s *sourceFile) lockedError() error {
	exclusive, pid := exclusiveHolder(s.file)
	if !exclusive || pid == 0 {
		return osfile.ErrLocked
	}
	return &Error{Kind: KindExclusive, Op: "open", Path: s.name,
		Err: fmt.Errorf("%w exclusively by process %d%s", osfile.ErrLocked, pid, commandOf(pid))}
}

// checkWritable fails if no private directory could be created in dir.
func checkWritable(dir string) error {
	place, err := atomicfile.OpenPlace(dir)
	if err == nil {
		place.Close()
		// unix.Faccessat with AT_EACCESS would not see that dir is immutable.
		err = unix.Access(dir, unix.W_OK|unix.X_OK)
	}
	if err != nil {
		return tempError("create a private directory in", dir, err)
	}
	return checkInodes(dir, privateNames)
}

// How many names a copy takes: the private directory and the image, and, where the source's files
// are copied first, another directory and two files.
const (
	privateNames = 2
	scratchNames = privateNames + 3
)

// checkInodes fails if the file system counts inodes and so many are not free.
func checkInodes(dir string, names uint64) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil || stat.Files == 0 || uint64(stat.Ffree) >= names {
		return nil
	}
	return tempError("create a private directory in", dir, unix.ENOSPC)
}

// How fast a copy is at best, and how fast its check, in bytes per second.
const (
	copyRate  = 700e6
	checkRate = 200e6
	rateBytes = 1 << 20 // are read to measure the disk
)

// estimate estimates how long a backup takes, from the time that the first MiB takes to read.
func (p *Prediction) estimate(s *sourceFile) {
	start := time.Now()
	n, err := io.Copy(io.Discard, io.NewSectionReader(s.file, 0, rateBytes))
	if err != nil || n == 0 {
		return
	}
	rate := min(copyRate, float64(n)/max(time.Since(start), time.Microsecond).Seconds())
	seconds := float64(p.Space)/rate + float64(p.Size)/checkRate
	p.Duration = time.Duration(seconds * float64(time.Second))
}
