package engine

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"path/filepath"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

var errMisread = errors.New("the copy is no longer what was checked")

// transfer writes the copy, which is elsewhere, to its destination path. If that file system hangs,
// only the caller waits: a write may take Timeout or ten seconds, a sync Timeout or any time.
func (s *Snapshot) transfer(path string) error {
	limit := s.opts.Timeout
	if limit <= 0 {
		limit = stalled
	}
	var watch atomicfile.Watch
	_, err := watch.Run(s.ctx, limit, func(ctx context.Context) (err error) {
		goFunc(s.opts.Go).run(func() { err = s.writeTo(ctx, path, &watch) })()
		return err
	})
	if errors.Is(err, atomicfile.ErrHangs) {
		return tempError("write", path, err)
	}
	return err
}

// writeTo writes the copy to a private file in the directory of path, and publishes it.
func (s *Snapshot) writeTo(ctx context.Context, path string, watch *atomicfile.Watch) error {
	watch.Count(true)
	where := filepath.Dir(path)
	if err := checkSpace(where, s.info.Size, spaceMargin); err != nil {
		return err
	}
	dir, err := newDir(s.opts.Place, where)
	if err != nil {
		return tempError("create a private directory in", where, err)
	}
	defer closeDir(dir)
	file, err := dir.Create(imageName)
	if err != nil {
		return tempError("create", path, err)
	}
	defer file.Close()
	written := sha256.New()
	image := io.TeeReader(io.NewSectionReader(imageReader{s.file}, 0, s.info.Size), written)
	_, err = copyContext(ctx, file, image, func(done int64) {
		watch.Beat()
		s.opts.progress(Progress{PhaseWrite, done, s.info.Size})
	})
	if err != nil {
		return err
	}
	if checked, err := s.SHA256(); err != nil || checked != [sha256.Size]byte(written.Sum(nil)) {
		return cmp.Or(err, error(tempError("read", s.file.Name(), errMisread)))
	}
	watch.Count(s.opts.Timeout > 0)
	if err := syncImage(file, path); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil { // the caller has given up
		return err
	}
	return publishImage(dir, path)
}
