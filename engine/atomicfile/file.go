package atomicfile

import (
	"io/fs"
	"os"
)

// contentName is the name of a File while it is private.
const contentName = "content"

// A File is a new file in the making. Close without Commit leaves no trace of it. It is not safe
// for concurrent use.
type File struct {
	f   *os.File
	dir *Dir
	dst string // in the parent of dir
}

// Create begins a new file that is to be called dst. It fails with [fs.ErrExist] if the name is
// taken, by a dangling symbolic link too.
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

// Commit makes the file durable under its final name, or fails and leaves nothing there.
func (f *File) Commit() error {
	if err := f.f.Sync(); err != nil {
		return err
	}
	return f.dir.Publish(contentName, f.dst)
}

// Close removes what is private. It is idempotent.
func (f *File) Close() error {
	f.f.Close()
	return f.dir.Close()
}

// CheckAbsent fails with [fs.ErrExist] if anything has the name path, a dangling symbolic link
// included.
func CheckAbsent(path string) error {
	_, err := os.Lstat(path)
	return absent(path, err)
}

// Replace atomically gives the file path the content data. A file that exists keeps its mode; a new
// one gets perm, less the umask.
func Replace(path string, data []byte, perm fs.FileMode) error {
	p, name, err := OpenPlaceOf(path)
	if err != nil {
		return err
	}
	defer p.Close()
	return p.Replace(name, data, perm)
}
