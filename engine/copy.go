package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/mattn/go-sqlite3"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"
)

const (
	// stepBytes is the size of a backup step, mostStepBytes the largest that a caller can ask for.
	stepBytes     = 4 << 20
	mostStepBytes = 16 * stepBytes

	// lowPriorityTime is how long SnapshotOptions.GoCopy copies.
	lowPriorityTime = 2 * time.Second
)

// copyPages copies the source into the private file, which must be empty. The read transaction
// makes it one consistent image however many steps it takes: SQLite restarts a backup only if a new
// read transaction finds the file changed. It sleeps only in WAL mode: in rollback mode writers
// wait for it.
func copyPages(ctx context.Context, p *readTx, f *os.File, opts SnapshotOptions) (pages int64, err error) {
	dst := f.Name()
	to, err := openPrivate(f, nil, "mode=rw", "_busy_timeout=0", "_synchronous=OFF", "_locking_mode=EXCLUSIVE")
	if err != nil {
		return 0, tempError("open", dst, err)
	}
	defer to.Close()
	if err := to.exec(ctx, "PRAGMA journal_mode=OFF"); err != nil { // not before it is known to be ours
		return 0, tempError("open", dst, err)
	}
	backup, err := to.Backup("main", p.conn.SQLiteConn, "main")
	if err != nil {
		return 0, copyError(p.source.name, dst, err)
	}
	c := copier{tx: p, backup: backup, step: opts.step(p.pageSize), left: int(p.pages), progress: opts.progress}
	start, limit := opts.GoLocked, forever
	if p.source.header.WAL() {
		start, limit = opts.GoCopy, lowPriorityTime
	}
	if start != nil {
		goFunc(start).run(func() { err = c.steps(ctx, limit) })()
	}
	if err == nil {
		err = c.steps(ctx, forever)
	}
	pages = int64(backup.PageCount())
	if finishErr := backup.Finish(); err == nil {
		err = finishErr
	}
	if err != nil {
		return 0, copyError(p.source.name, dst, err)
	}
	return pages, nil
}

const forever = time.Duration(math.MaxInt64)

func (o SnapshotOptions) step(pageSize int64) int {
	if o.PagesPerStep > 0 {
		return int(max(1, min(int64(o.PagesPerStep), mostStepBytes/pageSize)))
	}
	return int(max(1, stepBytes/pageSize))
}

// A copier is a running backup.
type copier struct {
	tx         *readTx
	backup     *sqlite3.SQLiteBackup
	step, left int // pages
	done       bool
	progress   func(Progress)
}

// steps copies until the backup is done, or until the limit.
func (c *copier) steps(ctx context.Context, limit time.Duration) (err error) {
	p := c.tx
	for start := time.Now(); !c.done && time.Since(start) < limit; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.room(int64(c.left) * p.pageSize); err != nil {
			return err
		}
		end := (p.pages - int64(c.left) + int64(c.step)) * p.pageSize
		p.footprint.enter(end)
		if c.done, err = c.backup.Step(c.step); err != nil {
			return err
		}
		p.footprint.leave(end)
		if p.source.header.WAL() {
			c.waitForDisk()
		}
		p.source.stall.Beat()
		// The driver reports a locked database as success; with the transaction open there can be
		// none.
		left := c.backup.Remaining()
		if !c.done && left >= c.left {
			return errNoProgress
		}
		c.left = left
		c.progress(Progress{PhaseCopy, (p.pages - int64(left)) * p.pageSize, p.pages * p.pageSize})
	}
	return nil
}

// waitForDisk waits a moment if memory is short and the disk slower than the copy.
func (c *copier) waitForDisk() {
	for begin := time.Now(); c.tx.residence.exceeded() && time.Since(begin) < longestWait; {
		time.Sleep(time.Millisecond)
		c.tx.source.stall.Beat()
	}
}

var errNoProgress = errors.New("a step of the backup copied nothing")

// checkCopy verifies that the file holds exactly the pages of the source: after an error SQLite may
// leave an empty file, which would pass every check as an empty database.
func checkCopy(p *readTx, f *os.File, pages int64) error {
	dst := f.Name()
	var b [sqlitefile.HeaderSize]byte
	if _, err := f.ReadAt(b[:], 0); err != nil {
		return tempError("read", dst, err)
	}
	h, err := sqlitefile.ParseHeader(b[:])
	if err != nil {
		return tempError("read", dst, err)
	}
	info, err := f.Stat()
	if err != nil {
		return tempError("read", dst, err)
	}
	if want := pages * p.pageSize; info.Size() != want {
		return tempError("write", dst, fmt.Errorf("the file has %d bytes, %d were written", info.Size(), want))
	}
	if pages != p.pages || int64(h.PageCount) != pages || !h.CountValid() || int64(h.PageSize) != p.pageSize {
		return &Error{Kind: KindInternal, Op: "copy", Path: p.source.name,
			Err: fmt.Errorf("%d pages of %d bytes were copied, but the header of the copy says %d of %d",
				p.pages, p.pageSize, h.PageCount, h.PageSize)}
	}
	return nil
}

// copyContext copies until the end of from, looking at the context between pieces. Errors of from
// are returned as they are, errors of the file as KindTemp or KindNoSpace.
func copyContext(ctx context.Context, to *os.File, from io.Reader, progress func(done int64)) (int64, error) {
	buffer := make([]byte, 1<<20)
	var done int64
	for {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		n, readErr := from.Read(buffer)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return done, tempError("write", to.Name(), err)
			}
			done += int64(n)
			if progress != nil {
				progress(done)
			}
		}
		if readErr == io.EOF {
			return done, nil
		}
		if readErr != nil {
			return done, readErr
		}
	}
}
