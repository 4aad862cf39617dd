package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/dated"
	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// A datedCopy is a file with the name of a dated copy. Whether it is one is known once it has been
// proven.
type datedCopy struct {
	dated.Name
	dir     *atomicfile.Place
	path    string // to read it by, and for messages
	info    fs.FileInfo
	sidecar bool           // there is one
	claims  stream.Summary // what its trailer says, if it has one
	proven  bool
	digest  stream.Digest // of the image, once proven
	problem error         // why it is not proven
}

// hasDigest reports whether a sidecar or a trailer has a digest of the file. If it does not match,
// the file is damaged.
func (c *datedCopy) hasDigest() bool { return c.sidecar || c.claims.Trailer }

// imageSize returns the size of the database image, from the trailer if there is one.
func (c *datedCopy) imageSize() int64 {
	if c.claims.Trailer {
		return c.claims.ImageSize
	}
	return c.info.Size()
}

// A copyDir is the content of a directory of dated copies.
type copyDir struct {
	*atomicfile.Place
	copies  []*datedCopy // by database, the oldest first
	orphans []string     // names of sidecars whose copies are gone
}

// openCopies opens a directory of dated copies and lists them, only those of one database if it is
// given.
func openCopies(path, database string) (*copyDir, error) {
	place, err := openCopyDir(path)
	if err != nil {
		return nil, err
	}
	dir, err := readCopyDir(place, database)
	if err != nil {
		place.Close()
	}
	return dir, err
}

// openCopyDir opens a directory of dated copies.
func openCopyDir(path string) (*atomicfile.Place, error) {
	dir, err := atomicfile.OpenPlace(path)
	switch {
	case errors.Is(err, atomicfile.ErrForeignLink):
		return nil, fileFault(fmt.Errorf("open %s: %w", path, cause(err)))
	case errors.Is(err, syscall.ENOTDIR):
		err = fmt.Errorf("read %s: %w", path, cause(err))
		return nil, &fault{kind: engine.KindUnreadable, err: err, hint: "name the directory that holds the copies"}
	case err != nil:
		return nil, inputFault(path, err)
	}
	return dir, nil
}

// readCopyDir lists the copies in a directory, of one database if it is given. It reads trailers,
// and no copy.
func readCopyDir(dir *atomicfile.Place, database string) (*copyDir, error) {
	names, err := dir.Names()
	if err != nil {
		return nil, inputFault(dir.Path(), err)
	}
	files := map[string]fs.FileInfo{} // nil unless regular
	for _, name := range names {
		if info, err := dir.Lstat(name); err == nil && info.Mode().IsRegular() {
			files[name] = info
		} else {
			files[name] = nil
		}
	}
	found := &copyDir{Place: dir}
	for _, name := range names {
		if files[name] != nil {
			found.add(name, files)
		}
	}
	if err := found.choose(database); err != nil {
		return nil, err
	}
	slices.SortFunc(found.copies, func(a, b *datedCopy) int {
		if order := strings.Compare(a.Database, b.Database); order != 0 {
			return order
		}
		return dated.Compare(a.Name, b.Name)
	})
	return found, nil
}

// add adds a regular file if it has the name of a dated copy or of a sidecar.
func (d *copyDir) add(file string, files map[string]fs.FileInfo) {
	if image, isSidecar := strings.CutSuffix(file, dated.SidecarSuffix); isSidecar {
		_, exists := files[image]
		if _, ours := dated.Parse(image); ours && !exists {
			d.orphans = append(d.orphans, file)
		}
		return
	}
	name, ours := dated.Parse(file)
	if !ours {
		return
	}
	c := &datedCopy{
		Name: name, dir: d.Place, path: within(d.Path(), file), info: files[file],
		sidecar: files[file+dated.SidecarSuffix] != nil,
	}
	if c.Compressed || !c.sidecar {
		c.readClaims()
	}
	d.copies = append(d.copies, c)
}

// within returns the path of a file in a directory, which stays as it was typed.
func within(dir, file string) string {
	if strings.HasSuffix(dir, "/") {
		return dir + file
	}
	return dir + "/" + file
}

func (c *datedCopy) readClaims() {
	file, err := c.dir.Open(c.Name.String())
	if err != nil {
		return
	}
	defer file.Close()
	c.claims, _ = stream.ReadTrailer(file, c.info.Size())
}

// databases returns the databases that the directory has copies of.
func (d *copyDir) databases() (names []string) {
	for _, c := range d.copies {
		names = append(names, c.Database)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// choose leaves only the copies of one database, unless name is empty.
func (d *copyDir) choose(name string) error {
	if name == "" {
		return nil
	}
	database, err := dated.Choose(d.databases(), name)
	if err != nil {
		return usagef("--name %s: %w", name, err)
	}
	d.copies = slices.DeleteFunc(d.copies, func(c *datedCopy) bool { return c.Database != database })
	d.orphans = slices.DeleteFunc(d.orphans, func(sidecar string) bool {
		name, _ := dated.Parse(strings.TrimSuffix(sidecar, dated.SidecarSuffix))
		return name.Database != database
	})
	return nil
}

// prove reads the copies, on all cores, and records whether each is proven. Copies that are removed
// meanwhile leave the list.
func (d *copyDir) prove(ctx context.Context, con *console) error {
	var total int64
	for _, c := range d.copies {
		total += c.imageSize()
	}
	done := &tally{con: con, total: total}
	queue := make(chan *datedCopy)
	var waits []func()
	for range min(runtime.GOMAXPROCS(0), len(d.copies)) {
		waits = append(waits, background(func() {
			for c := range queue {
				c.prove(ctx, done)
			}
		}))
	}
	for _, c := range d.copies {
		queue <- c
	}
	close(queue)
	for _, wait := range waits {
		wait()
	}
	d.copies = slices.DeleteFunc(d.copies, func(c *datedCopy) bool { return !c.proven && c.gone() })
	return context.Cause(ctx)
}

// A tally counts bytes of several readers for one progress bar.
type tally struct {
	con   *console
	done  atomic.Int64
	total int64
}

func (t *tally) Write(p []byte) (int, error) {
	t.con.progress.show("reading", t.done.Add(int64(len(p))), t.total)
	return len(p), nil
}

// prove reads a copy to its end.
func (c *datedCopy) prove(ctx context.Context, read io.Writer) {
	in, err := openInput(ctx, c.path, proofFlags{})
	if err != nil {
		c.problem = err
		return
	}
	defer in.Close()
	if info, err := in.source.file.Stat(); err != nil || !sameState(info, c.info) {
		c.problem = fmt.Errorf("read %s: it has changed since it was listed", c.path)
		return
	}
	if _, c.problem = io.Copy(read, in); c.problem == nil {
		c.proven, c.digest = true, in.Summary().ImageSHA256
	}
}

// gone reports whether the file no longer exists.
func (c *datedCopy) gone() bool {
	_, err := c.dir.Lstat(c.Name.String())
	return errors.Is(err, fs.ErrNotExist)
}

// forbidden reports whether this user may not read the copy or its sidecar.
func (c *datedCopy) forbidden() bool { return errors.Is(c.problem, fs.ErrPermission) }

// unchanged reports whether the file is still the one that was listed.
func (c *datedCopy) unchanged() bool {
	info, err := c.dir.Lstat(c.Name.String())
	return err == nil && sameState(info, c.info)
}

// sameState reports whether both describe one file that was not written to in between.
func sameState(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
