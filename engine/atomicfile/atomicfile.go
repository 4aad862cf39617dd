// Package atomicfile makes files that are either complete under their final name or not there at
// all.
//
// Work goes on in a private directory (mode 0700, random name, locked) beside the final name. The
// file is synced there, then link(2) and fsync of the directory publish it: an existing name is
// never replaced, and an interrupted program leaves nothing but its private directory, which the
// next [NewDir] there removes.
//
// Users who may write to the parent, or to a directory above it, can rename both at any moment. So
// both are opened once ([Place]), and all names are created, published and removed relative to
// their descriptors.
//
// The package is concerned with names and durability only; it knows neither SQLite nor streams.
package atomicfile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"sync"
)

// Prefix begins the name of every private directory. 24 hexadecimal digits follow.
const Prefix = ".sqlite-checkpoint-"

// contents are the only names, besides those of parts, that a private directory may contain, and
// the only ones that are removed.
var contents = []string{
	contentName,
	"image.db", "image.db-wal", "image.db-shm", "image.db-journal",
	"source.db", "source.db-wal", "source.db-shm", "source.db-journal",
}

// A Dir is a private directory that Close removes. Apart from [RemoveAll], it is not safe for
// concurrent use.
type Dir struct {
	parent *Place
	name   string
	dir    *os.File   // holds the flock; nil after Close
	making sync.Mutex // held while the directory itself is made or removed
}

var errReplaced = errors.New("the directory was replaced by another")

// NewDir removes what killed runs left in parent and creates a private directory there.
func NewDir(parent string) (*Dir, error) {
	p, err := OpenPlace(parent)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return p.NewDir()
}

// NewDir creates a private directory. The first NewDir of a Place removes what killed runs left
// there: to read a large directory takes longer than a small backup.
func (p *Place) NewDir() (*Dir, error) {
	p.swept.Do(p.Sweep)
	parent, err := p.again() // the private directory may outlive p
	if err != nil {
		return nil, err
	}
	d := &Dir{parent: parent}
	d.making.Lock()
	defer d.making.Unlock()
	if err = d.register(); err == nil {
		if err = d.make(); err == nil {
			return d, nil
		}
		d.forget()
	}
	parent.Close()
	if lostRace(err) || errors.Is(err, errRemoved) {
		err = &fs.PathError{Op: "mkdir", Path: p.path, Err: err}
	}
	return nil, err
}

// make creates the directory. A sweep of another process may take a name now and then; an attacker
// could take every one.
func (d *Dir) make() (err error) {
	for range 100 {
		var made *Dir
		if made, err = newDir(d.parent); err == nil {
			d.name, d.dir = made.name, made.dir
			return nil
		}
		if !lostRace(err) {
			return err
		}
	}
	return err
}

// lostRace reports whether the new name was taken, or was no longer the new directory's when it was
// locked.
func lostRace(err error) bool {
	return errors.Is(err, fs.ErrExist) || errors.Is(err, errReplaced) || errors.Is(err, ErrLocked)
}

func newDir(parent *Place) (*Dir, error) {
	var random [12]byte
	rand.Read(random[:])
	name := Prefix + hex.EncodeToString(random[:])
	if err := mkdirAt(parent.dir, name); err != nil {
		return nil, err
	}
	d, err := openDir(parent, name)
	if err != nil {
		if !lostRace(err) {
			rmdirAt(parent.dir, name)
		}
		return nil, err
	}
	if err := d.checkPrivate(); err != nil {
		d.dir.Close()
		return nil, err
	}
	return d, nil
}

// openDir opens and locks the private directory of that name. It checks that the name still leads
// there once it is locked: otherwise a sweep might not find the lock.
func openDir(parent *Place, name string) (*Dir, error) {
	f, err := lockDir(parent.dir, name)
	if err != nil {
		return nil, err
	}
	d := &Dir{parent: parent, name: name, dir: f}
	if err := d.checkName(); err != nil {
		f.Close()
		return nil, err
	}
	return d, nil
}

// checkName fails with errReplaced if the directory's name no longer leads to it.
func (d *Dir) checkName() error {
	ours, err := d.dir.Stat()
	if err != nil {
		return err
	}
	theirs, err := d.parent.Lstat(d.name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(ours, theirs) {
		return errReplaced
	}
	return err
}

// checkPrivate fails with errReplaced if others may write in the directory, which is then not the
// one that was made. Where the file system keeps neither owner nor mode, a new file looks no more
// private than the directory.
func (d *Dir) checkPrivate() error {
	info, err := d.dir.Stat()
	if err != nil || isPrivate(info) {
		return err
	}
	f, err := createAt(d.dir, contentName, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	defer removeAt(d.dir, contentName)
	if info, err = f.Stat(); err == nil && isPrivate(info) {
		return errReplaced
	}
	return err
}

func isPrivate(info fs.FileInfo) bool { return ownedByUs(info) && info.Mode().Perm()&0o077 == 0 }

// Parent returns the directory that contains it, open until Close.
func (d *Dir) Parent() *Place { return d.parent }

// Path returns the directory's name, parent included. It may lead elsewhere by now.
func (d *Dir) Path() string { return d.parent.join(d.name) }

// Create makes a new file of mode 0600 in the directory. The name must be one of those that a sweep
// removes.
func (d *Dir) Create(name string) (*os.File, error) {
	if !isContent(name) {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrInvalid}
	}
	if err := checkLive(); err != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: err}
	}
	return createAt(d.dir, name, 0o600)
}

// Remove removes a file of the directory. It is no error if there is none.
func (d *Dir) Remove(name string) error {
	if err := removeAt(d.dir, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Publish gives the private file name, which the caller has synced, the new name dst in the parent.
// It fails with [fs.ErrExist] if dst is taken. If the parent cannot be synced, dst is removed
// again.
func (d *Dir) Publish(name, dst string) error {
	if err := publishAt(d.dir, name, d.parent.dir, dst); err != nil {
		return err
	}
	if err := d.parent.Sync(); err != nil {
		d.parent.Remove(dst)
		return err
	}
	return nil
}

// Close removes the directory and all in it. It is idempotent. If it fails with [fs.ErrExist], it
// may be called again: FUSE and NFS keep a file that was removed while it was open, under another
// name, until it is closed.
func (d *Dir) Close() error {
	d.making.Lock()
	defer d.making.Unlock()
	if d.dir == nil {
		return nil
	}
	err := d.remove()
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	d.forget()
	d.dir.Close()
	d.dir = nil
	d.parent.Close()
	return err
}

// remove removes the files of the directory, then the directory itself, if its name still leads to
// it.
func (d *Dir) remove() error {
	var err error
	for _, name := range contents {
		err = errors.Join(err, d.Remove(name))
	}
	if d.checkName() == nil {
		err = rmdirAt(d.parent.dir, d.name) // the error that counts: it fails if a file is left
		if err != nil && !errors.Is(err, fs.ErrNotExist) && d.removeParts() == nil {
			err = rmdirAt(d.parent.dir, d.name)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
