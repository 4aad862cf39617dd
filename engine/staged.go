package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
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
	progress func(Progress)
	dir      *atomicfile.Dir
	file     *os.File // in dir
}

// stage reads r to its end and checks the image.
func (l *stagedImage) stage(ctx context.Context, r io.Reader) (Info, error) {
	if err := checkSpace(l.where, l.size, spaceMargin); err != nil {
		return Info{}, err
	}
	var err error
	if l.dir, err = newDir(l.place, l.where); err != nil {
		return Info{}, tempError("create a private directory in", l.where, err)
	}
	size, err := l.receive(ctx, r)
	if err != nil {
		return Info{}, err
	}
	info, err := imageInfo(l.file, l.name, size)
	if err != nil {
		return Info{}, err
	}
	l.report(Progress{Phase: PhaseCheck, Total: size})
	info.Level, info.Reason, err = checkImage(ctx, l.file, l.name, l.check, nil)
	return info, err
}

func (l *stagedImage) receive(ctx context.Context, r io.Reader) (int64, error) {
	var err error
	if l.file, err = l.dir.Create(imageName); err != nil {
		return 0, tempError("create", l.where, err)
	}
	if err := l.setOwnerAndMode(); err != nil {
		return 0, tempError("set owner and mode of", l.name, err)
	}
	return copyContext(ctx, l.file, r, func(done int64) { l.report(Progress{PhaseCopy, done, l.size}) })
}

// setOwnerAndMode sets owner and mode, in this order: a change of owner clears mode bits.
func (l *stagedImage) setOwnerAndMode() error {
	if l.owner != nil {
		if err := l.file.Chown(l.owner.UID, l.owner.GID); err != nil {
			return err
		}
	}
	if l.mode != 0 {
		return l.file.Chmod(l.mode)
	}
	return nil
}

func (l *stagedImage) report(p Progress) {
	if l.progress != nil {
		l.progress(p)
	}
}

// Close removes the private file. It is idempotent.
func (l *stagedImage) Close() error {
	if l.file != nil {
		l.file.Close()
	}
	if l.dir == nil {
		return nil
	}
	return l.dir.Close()
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
