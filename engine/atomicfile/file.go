package atomicfile

import (
	"io/fs"
	"os"
)

// contentName is the name of a File while it is private.
const contentName = "content"

// A File is a new file that does not have its name yet. Close without Commit removes it. It is not
// safe for concurrent use.
type File struct {
	f   *os.File
	dir *Dir
	dst string // in the parent of dir
}

// Create creates a private file that Commit will publish as dst. It fails with [fs.ErrExist] if the
// name is taken, even by a dangling symbolic link.
func Create(dst string) (*File, error) {
	p, name, err := OpenPlaceOf(dst)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return p.Create(name)
}

// Write appends to the file, which is still private.
func (f *File) Write(p []byte) (int, error) { return f.f.Write(p) }

// Commit makes the file durable under its final name. It fails with [fs.ErrExist] if the name was
// taken meanwhile; after an error there is no new file.
func (f *File) Commit() error {
	if err := f.f.Sync(); err != nil {
		return err
	}
	return f.dir.Publish(contentName, f.dst)
}

// Close closes the file, and removes it unless it was committed. It is idempotent.
func (f *File) Close() error {
	f.f.Close()
	return f.dir.Close()
}

// CheckAbsent fails with [fs.ErrExist] if path exists, even as a dangling symbolic link.
func CheckAbsent(path string) error {
	_, err := os.Lstat(path)
	return absent(path, err)
}

// Replace atomically replaces the content of the file path by data, and makes it durable. An
// existing file keeps its mode; a new one gets perm, less the umask.
func Replace(path string, data []byte, perm fs.FileMode) error {
	p, name, err := OpenPlaceOf(path)
	if err != nil {
		return err
	}
	defer p.Close()
	return p.Replace(name, data, perm)
}
