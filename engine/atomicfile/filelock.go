package atomicfile

import (
	"errors"
	"io/fs"
	"os"
)

// LockFile takes the flock(2) of the file path, without waiting, and creates an empty file if there
// is none. It fails with [ErrLocked] if another process has the lock. The file that it returns
// holds the lock until it is closed, or replaced by [ReplaceLocked].
func LockFile(path string, perm fs.FileMode) (*os.File, error) {
	p, name, err := OpenPlaceOf(path)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	for {
		f, err := p.openOrCreate(name, perm)
		if err != nil {
			return nil, err
		}
		if err := takeLock(f); err != nil {
			f.Close()
			return nil, err
		}
		ours, err := f.Stat()
		named, errNamed := p.Lstat(name)
		if err == nil && errNamed == nil && os.SameFile(ours, named) {
			return f, nil
		}
		f.Close() // the one who had the lock has replaced the file
	}
}

func (p *Place) openOrCreate(name string, perm fs.FileMode) (*os.File, error) {
	f, err := p.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		if f, err = createAt(p.dir, name, perm); errors.Is(err, fs.ErrExist) {
			return p.Open(name)
		}
	}
	return f, err
}

// ReplaceLocked is [Replace] for a file that the caller has locked: the new file, which it returns,
// is locked before it gets its name.
func ReplaceLocked(path string, data []byte, perm fs.FileMode) (*os.File, error) {
	p, name, err := OpenPlaceOf(path)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return p.replace(name, data, perm)
}
