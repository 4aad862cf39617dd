package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// A Place is a directory that is looked up once. Every operation on a name in it happens in that
// very directory, even if its path leads elsewhere by then. It is safe for concurrent use until
// Close.
type Place struct {
	path  string
	dir   *os.File  // need not be readable
	swept sync.Once // by NewDir
}

// ErrForeignLink means that a path that root was to write to leads through a symbolic link of
// another user, who can have it lead anywhere.
var ErrForeignLink = errors.New("symbolic link of another user")

// OpenPlace opens a directory. For root it fails with [ErrForeignLink] if the path leads through a
// symbolic link that is not root's; only Linux checks that.
func OpenPlace(path string) (*Place, error) {
	dir, err := openPlace(path)
	if err != nil {
		return nil, err
	}
	return &Place{path: path, dir: dir}, nil
}

// OpenPlaceOf opens the directory of a file, and returns the file's name in it. That is ".", which
// no file has, if the path ends in a slash.
func OpenPlaceOf(path string) (p *Place, name string, err error) {
	p, err = OpenPlace(filepath.Dir(path))
	return p, Base(path), err
}

// A followFunc is called for each symbolic link on a path. If it fails, the link is not followed.
type followFunc func(path string, link fs.FileInfo) error

// Locate follows all symbolic links in path, opens the directory that the file is in, and returns
// the file's name there. On Linux it first calls follow for each link, and returns its error.
func Locate(path string, follow func(path string, link fs.FileInfo) error) (*Place, string, error) {
	dir, name, err := locate(path, follow)
	if err != nil {
		return nil, "", err
	}
	return &Place{path: dir.Name(), dir: dir}, name, nil
}

// Base returns the last element of path like [filepath.Base], but "." if the path ends in a slash.
func Base(path string) string {
	if path != "" && os.IsPathSeparator(path[len(path)-1]) {
		return "."
	}
	return filepath.Base(path)
}

// again opens the directory once more.
func (p *Place) again() (*Place, error) {
	dir, err := reopenPlace(p.dir)
	if err != nil {
		return nil, err
	}
	return &Place{path: p.path, dir: dir}, nil
}

// Sub opens a directory in the directory. It follows no symbolic link.
func (p *Place) Sub(name string) (*Place, error) {
	dir, err := openSub(p.dir, name)
	if err != nil {
		return nil, err
	}
	return &Place{path: p.join(name), dir: dir}, nil
}

// ErrLocked means that another process holds the lock of a directory.
var ErrLocked = errors.New("locked by another process")

// Lock takes the flock(2) of the directory, without waiting. Closing the file releases it, and so
// does the end of the process. It fails with [ErrLocked] if another process has it.
func (p *Place) Lock() (*os.File, error) { return lockDir(p.dir, ".") }

// Path returns the path that the directory was opened by. It may lead elsewhere by now.
func (p *Place) Path() string { return p.path }

// Close closes the directory. Private directories and files that were made in it stay usable. It is
// idempotent.
func (p *Place) Close() error {
	if err := p.dir.Close(); !errors.Is(err, fs.ErrClosed) {
		return err
	}
	return nil
}

func (p *Place) join(name string) string { return filepath.Join(p.path, name) }

// Open opens a file for reading. It follows no symbolic link and does not block on a FIFO.
func (p *Place) Open(name string) (*os.File, error) { return openAt(p.dir, name) }

// Lstat is like [os.Lstat].
func (p *Place) Lstat(name string) (fs.FileInfo, error) { return lstatAt(p.dir, name) }

// CheckAbsent fails with [fs.ErrExist] if the name is taken, even by a dangling symbolic link.
func (p *Place) CheckAbsent(name string) error {
	_, err := p.Lstat(name)
	return absent(p.join(name), err)
}

func absent(path string, err error) error {
	if err == nil {
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Names returns the names in the directory, sorted.
func (p *Place) Names() ([]string, error) {
	f, err := p.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// Link gives a file a second name. It fails with [fs.ErrExist] if that is taken.
func (p *Place) Link(name, second string) error { return linkAt(p.dir, name, p.dir, second) }

// Remove removes the name of a file.
func (p *Place) Remove(name string) error { return removeAt(p.dir, name) }

// Mkdir creates a directory of mode 0700.
func (p *Place) Mkdir(name string) error { return mkdirAt(p.dir, name) }

// Rmdir removes an empty directory.
func (p *Place) Rmdir(name string) error { return rmdirAt(p.dir, name) }

// Sync makes the names in the directory durable.
func (p *Place) Sync() error {
	f, err := p.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	return syncDir(f)
}

// Create creates a private file that Commit will publish as name; see [Create].
func (p *Place) Create(name string) (*File, error) {
	if err := p.CheckAbsent(name); err != nil {
		return nil, err
	}
	dir, err := p.NewDir()
	if err != nil {
		return nil, err
	}
	f, err := dir.Create(contentName)
	if err != nil {
		dir.Close()
		return nil, err
	}
	return &File{f, dir, name}, nil
}

// Replace atomically replaces the content of the file name; see [Replace].
func (p *Place) Replace(name string, data []byte, perm fs.FileMode) error {
	f, err := p.replace(name, data, perm)
	if err != nil {
		return err
	}
	return f.Close()
}

// replace returns the new file, locked.
func (p *Place) replace(name string, data []byte, perm fs.FileMode) (*os.File, error) {
	dir, err := p.NewDir()
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	f, err := createAt(dir.dir, contentName, perm)
	if err != nil {
		return nil, err
	}
	takeLock(f) // fails only where there are no locks: nobody else has opened it
	if err = p.fill(f, name, data); err == nil {
		err = renameAt(dir.dir, contentName, p.dir, name)
	}
	if err == nil {
		err = p.Sync()
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// fill writes a file that is to replace the file name.
func (p *Place) fill(f *os.File, name string, data []byte) error {
	if old, err := p.Lstat(name); err == nil && old.Mode().IsRegular() {
		if err := f.Chmod(old.Mode().Perm()); err != nil {
			return err
		}
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}
