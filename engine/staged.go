package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"runtime"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"
)

// A stagedImage is a private file that receives an image.
type stagedImage struct {
	place    *atomicfile.Place
	where    string // the directory's path
	name     string // for messages
	check    Check
	size     int64
	mode     fs.FileMode // 0 for 0600
	owner    *Owner      // nil for the caller
	acl      []byte      // nil for that of any new file
	progress func(Progress)
	dir      *atomicfile.Dir
	file     *os.File // in dir
	written  *writeBack
}

// A Prover is the reader of an image that need not hash it itself, as [stream.Reader] is.
type Prover interface {
	io.Reader
	// Defer has Read return io.EOF at the end of the image, whole or not.
	Defer()
	// Prove fails if the image is not whole. Its argument is a SHA-256 that has consumed the image.
	Prove(hash.Hash) error
}

// stage reads r to its end and checks the image. The hash of a [Prover] is computed beside the
// check, from the private file, if that can be done on another CPU and without reading the disk.
func (s *stagedImage) stage(ctx context.Context, r io.Reader) (Info, error) {
	if err := checkSpace(s.where, s.size, spaceMargin); err != nil {
		return Info{}, err
	}
	var err error
	if s.dir, err = newDir(s.place, s.where); err != nil {
		return Info{}, tempError("create a private directory in", s.where, err)
	}
	prover, apart := r.(Prover)
	if apart = apart && s.worthHashingApart(); apart {
		prover.Defer()
	}
	size, err := s.receive(ctx, r)
	if err != nil {
		return Info{}, err
	}
	var info Info
	if apart {
		info, err = s.examineAndProve(ctx, size, prover)
	} else {
		info, err = s.examine(ctx, size)
	}
	return info, cmp.Or(s.written.stop(), err)
}

func (s *stagedImage) worthHashingApart() bool {
	_, fits := roomFor(s.size)
	return s.check != CheckNone && runtime.GOMAXPROCS(0) > 1 && fits
}

// examineAndProve stops the check if the image is not whole: that error comes first.
func (s *stagedImage) examineAndProve(ctx context.Context, size int64, prover Prover) (Info, error) {
	checking, cancel := context.WithCancel(ctx)
	defer cancel()
	var unproven error
	wait := goFunc(nil).run(func() {
		if unproven = s.prove(ctx, size, prover); unproven != nil {
			cancel()
		}
	})
	info, err := s.examine(checking, size)
	wait()
	return info, cmp.Or(unproven, err)
}

func (s *stagedImage) prove(ctx context.Context, size int64, prover Prover) error {
	h, err := hashFile(ctx, s.file, size)
	switch {
	case err == nil:
		return prover.Prove(h)
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return tempError("read", s.file.Name(), err)
	}
}

// examine checks the image.
func (s *stagedImage) examine(ctx context.Context, size int64) (Info, error) {
	info, err := imageInfo(s.file, s.name, size)
	if err != nil {
		return Info{}, err
	}
	s.report(Progress{Phase: PhaseCheck, Total: size})
	info.Level, info.Reason, err = checkImage(ctx, s.file, s.name, s.check, nil)
	return info, err
}

func (s *stagedImage) receive(ctx context.Context, r io.Reader) (int64, error) {
	var err error
	if s.file, err = s.dir.Create(imageName); err != nil {
		return 0, tempError("create", s.where, err)
	}
	if err := s.setOwnerAndMode(); err != nil {
		return 0, tempError("set owner and mode of", s.name, err)
	}
	s.written = startWriteBack(s.file, s.size)
	return copyContext(ctx, s.file, r, func(done int64) { s.report(Progress{PhaseCopy, done, s.size}) })
}

// setOwnerAndMode sets owner, mode and access control list, in this order: a change of owner clears
// mode bits, and a change of mode the mask of the list.
func (s *stagedImage) setOwnerAndMode() error {
	if s.owner != nil {
		if err := s.file.Chown(s.owner.UID, s.owner.GID); err != nil {
			return err
		}
	}
	if s.mode != 0 {
		if err := s.file.Chmod(s.mode); err != nil {
			return err
		}
	}
	if s.acl != nil {
		return osfile.SetACL(s.file, s.acl)
	}
	return nil
}

func (s *stagedImage) report(p Progress) {
	if s.progress != nil {
		s.progress(p)
	}
}

// Close removes the private file. It is idempotent.
func (s *stagedImage) Close() error {
	s.written.stop()
	if s.file != nil {
		s.file.Close()
	}
	if s.dir == nil {
		return nil
	}
	return s.dir.Close()
}

// imageInfo describes the image in the file, which must have the size that its header declares.
func imageInfo(f *os.File, name string, size int64) (Info, error) {
	var b [sqlitefile.HeaderSize]byte
	n, err := f.ReadAt(b[:], 0)
	if err != nil && err != io.EOF {
		return Info{}, tempError("read", f.Name(), err)
	}
	h, err := sqlitefile.ParseHeader(b[:n])
	if err != nil {
		return Info{}, &Error{Kind: KindCorrupt, Op: "check", Path: name, Err: err, Findings: []string{err.Error()}}
	}
	info := Info{Size: size, PageSize: h.PageSize, PageCount: int64(h.PageCount), WAL: h.WAL()}
	if size != info.PageCount*int64(info.PageSize) {
		problem := fmt.Sprintf("size is not page_count × page_size: %d bytes, not %d × %d",
			size, h.PageCount, h.PageSize)
		return Info{}, &Error{Kind: KindCorrupt, Op: "check", Path: name,
			Err: errors.New("not a whole database image"), Findings: []string{problem}}
	}
	return info, nil
}
