package engine

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// imageName is the name of the copy in its private directory.
const imageName = "image.db"

// A Snapshot is a private copy of a database that has passed its check. Hash and SHA256 may be
// called concurrently with Read; other methods must not be called concurrently.
type Snapshot struct {
	ctx    context.Context // of TakeSnapshot
	opts   SnapshotOptions
	info   Info
	source string

	dir       *atomicfile.Dir
	apart     bool // it is not in the directory of the destination
	file      *os.File
	written   *writeBack // of file
	residence *residence // of file
	digest    *digest
	image     *io.SectionReader // of file
}

// TakeSnapshot copies the database source as of one moment, including every commit before the call,
// and checks the copy. The source may be in use and is not changed. It is locked only during the
// copy; in WAL mode writers are not blocked at all. Errors are of type [*Error], or the context's.
// A database that stays locked for opts.BusyTimeout is [KindBusy] or [KindExclusive], one that
// fails its check [KindCorrupt]. ctx also ends what the snapshot's methods wait for.
func TakeSnapshot(ctx context.Context, source string, opts SnapshotOptions) (*Snapshot, error) {
	src, err := openSource("open", source)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	where := opts.workDir()
	s := &Snapshot{ctx: ctx, opts: opts, source: source}
	if err := s.makeDir(where); err != nil {
		return nil, err
	}
	if err := s.take(ctx, src, where, opts); err != nil {
		if src.abandoned {
			go s.Close() // which may hang as the copy does
		} else {
			s.Close()
		}
		return nil, err
	}
	return s, nil
}

// take makes the copy and checks it.
func (s *Snapshot) take(ctx context.Context, src *sourceFile, where string, opts SnapshotOptions) error {
	opts.progress(Progress{Phase: PhaseWait})
	err := src.untilStalled(ctx, opts.stallLimit(), func(ctx context.Context) error {
		return src.retry(ctx, "open", opts.BusyTimeout, func() error { return s.copy(ctx, src, where, opts) })
	})
	if errors.Is(err, atomicfile.ErrHangs) {
		return &Error{Kind: KindTemp, Op: "copy to", Path: where, Err: err}
	}
	if ctx.Err() == nil && src.replaced() { // which explains whatever else went wrong
		return &Error{Kind: KindChanged, Op: "copy", Path: s.source, Err: errReplaced}
	}
	if err != nil {
		return databaseError("open", s.source, err)
	}
	s.warn(src)
	if s.written == nil {
		s.written = startWriteBack(s.file, s.info.Size)
	}
	s.digest = startDigest(ctx, s.file, s.info.Size, opts.Go)
	opts.progress(Progress{Phase: PhaseCheck, Total: s.info.Size})
	if err := s.check(ctx, opts.Check, opts.Go); err != nil {
		return cmp.Or(s.written.stop(), err)
	}
	s.image = io.NewSectionReader(imageReader{s.file}, 0, s.info.Size)
	if (opts.Destination == "" || s.apart) && !opts.Queryable {
		return s.unlink()
	}
	return nil
}

// check checks the copy. The source is free by then.
func (s *Snapshot) check(ctx context.Context, check Check, start goFunc) (err error) {
	if check == CheckFull { // which comes back to each page many times
		s.endResidence()
	}
	pragmas := s.residence.forReading()
	defer s.residence.endReading()
	start.run(func() {
		s.info.Level, s.info.Reason, err = checkImage(ctx, s.file, s.source, check, start, pragmas...)
	})()
	return err
}

// copy makes one attempt at a consistent copy. The source is free again when it returns.
func (s *Snapshot) copy(ctx context.Context, src *sourceFile, where string, opts SnapshotOptions) error {
	p, err := src.beginRead(ctx, where)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := src.checkCount(p.pages); err != nil {
		return err
	}
	tail, err := src.checkWhole(ctx, extent{p.pageSize, p.pages, p.how.logged()})
	if err != nil && opts.Check != CheckNone {
		return p.explain(err)
	}
	if err := checkFileSize(where, p.pages*p.pageSize); err != nil {
		return err
	}
	p.room = spaceBeside(where, p.before, p.pages*p.pageSize)
	if err := p.room(p.pages * p.pageSize); err != nil {
		return err
	}
	if err := s.create(); err != nil {
		return tempError("create a file in", s.dir.Path(), err)
	}
	s.residence = startResidence(s.file, p.pages*p.pageSize)
	if p.residence = s.residence; src.header.WAL() || p.residence != nil { // else writers wait
		s.written = startWriteBack(s.file, p.pages*p.pageSize)
	}
	pages, err := copyPages(ctx, p, s.file, opts)
	if err != nil {
		return p.explain(err)
	}
	if err := p.checkUndisturbed(); err != nil {
		return err
	}
	s.info = Info{Size: pages * p.pageSize, PageSize: int(p.pageSize), PageCount: pages, WAL: src.header.WAL(),
		Locked: time.Since(p.since)}
	if tail > 0 {
		s.info.Warnings = append(s.info.Warnings, fmt.Sprintf(
			"%s: %d bytes after the last page are not part of the database and were left out", s.source, tail))
	}
	return checkCopy(p, s.file, pages)
}

// create creates the file for the copy, and replaces that of an earlier attempt.
func (s *Snapshot) create() (err error) {
	s.closeFile()
	if err := s.dir.Remove(imageName); err != nil {
		return err
	}
	s.file, err = s.dir.Create(imageName)
	return err
}

// maxPages is the most that the driver can count: its backup reports pages as a C int.
const maxPages = 1<<31 - 1

func (s *sourceFile) checkCount(pages int64) error {
	if pages <= maxPages {
		return nil
	}
	return &Error{Kind: KindNotDatabase, Op: "copy", Path: s.name,
		Err: fmt.Errorf("%d pages are more than can be copied", pages)}
}

// warn records what an operator should know about the place of the source.
func (s *Snapshot) warn(src *sourceFile) {
	for _, f := range src.surroundings() {
		s.info.Warnings = append(s.info.Warnings, f.Evidence)
	}
}

// unlink removes the copy's name before the first byte leaves, so that nothing is left behind even
// after SIGKILL.
func (s *Snapshot) unlink() error {
	if err := s.dir.Remove(imageName); err != nil {
		return tempError("unlink", s.file.Name(), err)
	}
	// Where a removed file stays until it is closed, Close tries again.
	if err := s.dir.Close(); err != nil && !errors.Is(err, fs.ErrExist) {
		return tempError("remove", s.dir.Path(), err)
	}
	return nil
}

// Info returns the description of the copy.
func (s *Snapshot) Info() Info { return s.info }

// Size returns the length of the image in bytes.
func (s *Snapshot) Size() int64 { return s.info.Size }

// Read reads the next bytes of the image, and returns io.EOF after the last.
func (s *Snapshot) Read(p []byte) (int, error) { return s.image.Read(p) }

// WriteTo writes what has not been read of the image. A w that is an [io.ReaderFrom] gets an
// [io.SectionReader] of the file, and may have the kernel send the file's pages themselves. That is
// safe because the file is not written to or truncated from now on: it is private and open only
// here, and Close removes it without truncating it. A page that a pipe or a socket still refers to
// then does not change until it is read, even after this process has ended.
func (s *Snapshot) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, s.image) }

// An imageReader is the file of a private copy.
type imageReader struct{ *os.File }

// ReadAt fails with KindTemp, also at the end of a file that was truncated behind our back.
func (r imageReader) ReadAt(p []byte, offset int64) (int, error) {
	n, err := r.File.ReadAt(p, offset)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return n, tempError("read", r.Name(), err)
	}
	return n, nil
}

// Hash waits for the digest of the image, and returns a SHA-256 that has consumed the whole image.
// Each call returns another clone: the caller may write to it what follows the image.
func (s *Snapshot) Hash() (hash.Hash, error) {
	if err := s.written.stop(); err != nil {
		return nil, err
	}
	h, err := s.digest.wait()
	if err != nil && !errors.Is(err, context.Canceled) {
		return nil, tempError("read", s.file.Name(), err)
	}
	return h, err
}

// SHA256 waits for the digest of the image and returns it.
func (s *Snapshot) SHA256() (digest [sha256.Size]byte, err error) {
	h, err := s.Hash()
	if err != nil {
		return digest, err
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// Commit publishes the copy as the new file [SnapshotOptions.Destination]. On success the file is
// durable; on failure there is none. If the name is taken, the error is [KindExists].
func (s *Snapshot) Commit() error {
	path := s.opts.Destination
	if path == "" {
		return &Error{Kind: KindInternal, Op: "create", Path: s.source,
			Err: errors.New("SnapshotOptions.Destination is empty")}
	}
	if _, err := s.Hash(); err != nil {
		return err
	}
	if s.apart {
		return s.transfer(path)
	}
	if err := syncImage(s.file, path); err != nil {
		return err
	}
	return publishImage(s.dir, path)
}

// Close removes the private copy. It is idempotent.
func (s *Snapshot) Close() error {
	if s.digest != nil {
		s.digest.stop()
	}
	s.closeFile()
	return closeDir(s.dir)
}

func (s *Snapshot) endResidence() {
	s.residence.stop()
	s.residence = nil
}

func (s *Snapshot) closeFile() {
	s.written.stop()
	s.written = nil
	s.endResidence()
	if s.file != nil {
		s.file.Close()
	}
}

func (o SnapshotOptions) progress(p Progress) {
	if o.Progress != nil {
		o.Progress(p)
	}
}
