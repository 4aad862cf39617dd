package engine

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dustin/go-humanize"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

// spaceMargin is what must stay free, in bytes, if the copy is on another file system than the
// source.
const spaceMargin = 1 << 20

// chooseTempDir returns the directory for private copies: dir or that of the environment, whether
// it is usable or not, else the first of SQLite's that is. See
// https://www.sqlite.org/tempfiles.html, section 5.
func chooseTempDir(dir string) string {
	for _, asked := range []string{dir, os.Getenv("SQLITE_TMPDIR"), os.Getenv("TMPDIR")} {
		if asked != "" {
			return asked
		}
	}
	for _, usual := range []string{"/var/tmp", "/usr/tmp", "/tmp"} {
		if unix.Access(usual, unix.W_OK|unix.X_OK) == nil {
			return usual
		}
	}
	return "."
}

// workDir returns the directory for the private copy: that of the destination, so that publishing
// it is one link, unless only that one is on a file system that may be slow, or hang, while the
// source is locked.
func (o SnapshotOptions) workDir() string {
	temp := chooseTempDir(o.TempDir)
	if o.Destination == "" {
		return temp
	}
	if dir := filepath.Dir(o.Destination); !atomicfile.MayHang(dir) || atomicfile.MayHang(temp) {
		return dir
	}
	return temp
}

// makeDir creates the private directory for the copy in the directory where. If that is not the
// destination's, one is made there, too, and removed: that finds early what is wrong with it.
func (s *Snapshot) makeDir(where string) (err error) {
	place := s.opts.Place
	if to := filepath.Dir(s.opts.Destination); s.opts.Destination != "" && to != where {
		dir, err := newDir(place, to)
		if err != nil {
			return tempError("create a private directory in", to, err)
		}
		closeDir(dir)
		s.apart, place = true, nil
	}
	if s.dir, err = newDir(place, where); err != nil {
		return tempError("create a private directory in", where, err)
	}
	return nil
}

// newDir creates a private directory in place, or, if that is nil, in the directory where.
func newDir(place *atomicfile.Place, where string) (*atomicfile.Dir, error) {
	if place != nil {
		return place.NewDir()
	}
	return atomicfile.NewDir(where)
}

// spaceBeside returns a checkSpace for a copy of size bytes. On the file system of the source it
// leaves room for what the application writes meanwhile.
func spaceBeside(dir string, source fileStates, size int64) func(left int64) error {
	margin := int64(spaceMargin)
	if osfile.Stat(dir).Dev == source.main.Dev {
		margin = max(margin, min(size, 64<<20), size/20, source.wal.Size)
	}
	return func(left int64) error { return checkSpace(dir, left, margin) }
}

// scratchRoom fails unless copies of the main file and the -wal fit into dir.
func scratchRoom(dir string, source fileStates) error {
	size := source.main.Size + source.wal.Size
	return cmp.Or(checkFileSize(dir, max(source.main.Size, source.wal.Size)), spaceBeside(dir, source, size)(size))
}

// checkFileSize fails with KindNoSpace if this process may not write a file of size bytes.
func checkFileSize(dir string, size int64) error {
	if limit := osfile.FileSizeLimit(); limit < uint64(size) {
		return &Error{Kind: KindNoSpace, Op: "copy to", Path: dir, Err: fmt.Errorf("%w: %s needed, ulimit -f allows %s",
			unix.EFBIG, humanize.IBytes(uint64(size)), humanize.IBytes(limit))}
	}
	return nil
}

// checkSpace fails with KindNoSpace unless size bytes fit into the file system of dir and leave the
// margin free.
func checkSpace(dir string, size, margin int64) error {
	free, err := osfile.FreeBytes(dir)
	if err != nil {
		return tempError("read the free space of", dir, err)
	}
	if needed := uint64(size + margin); free < needed {
		return &Error{Kind: KindNoSpace, Op: "copy to", Path: dir,
			Err: fmt.Errorf("%s needed, %s free", humanize.IBytes(needed), humanize.IBytes(free))}
	}
	return nil
}

// networkFilesystem returns the name of the file system of path, and whether locks and the shared
// memory of WAL mode may not reach from one of its clients to another.
func networkFilesystem(path string) (name string, network bool, err error) {
	return atomicfile.NetworkFilesystem(path)
}

// closeDir removes a private directory.
func closeDir(dir *atomicfile.Dir) error {
	err := dir.Close()
	for tries := 0; errors.Is(err, fs.ErrExist) && tries < 100; tries++ {
		time.Sleep(10 * time.Millisecond) // a FUSE server learns of the close of a file a moment later
		err = dir.Close()
	}
	return err
}
