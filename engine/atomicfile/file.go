package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"
)

// contentName is the name of a File while it is private.
const contentName = "content"

// A File is a new file in the making. Close without Commit leaves no trace of it. It is not safe for concurrent use.
type File struct {
	f   *os.File
	dir *Dir
	dst string
}

// Create begins a new file that is to be called dst. It fails with [fs.ErrExist] if the name is taken, by a
// dangling symbolic link too.
func Create(dst string) (*File, error) {
	if err := CheckAbsent(dst); err != nil {
		return nil, err
	}
	dir, err := NewDir(filepath.Dir(dst))
	if err != nil {
		return nil, err
	}
	f, err := dir.Create(contentName)
	if err != nil {
		dir.Close()
		return nil, err
	}
	return &File{f, dir, dst}, nil
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

// CheckAbsent fails with [fs.ErrExist] if anything has the name path, a dangling symbolic link included.
func CheckAbsent(path string) error {
	_, err := os.Lstat(path)
	if err == nil {
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// Replace atomically gives the file path the content data. A file that exists keeps its mode; a new one gets perm, less
// the umask.
func Replace(path string, data []byte, perm fs.FileMode) error {
	dir, err := NewDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	f, err := createAt(dir.dir, contentName, perm)
	if err != nil {
		return err
	}
	defer f.Close()
	if old, err := os.Lstat(path); err == nil && old.Mode().IsRegular() {
		if err := f.Chmod(old.Mode().Perm()); err != nil {
			return err
		}
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := renameAt(dir.dir, contentName, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}
