//go:build !unix

package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"
)

func lockDir(parent *os.File, name string) (*os.File, error) { return openAt(parent, name) }

func takeLock(*os.File) error { return nil }

// ownedByUs is false where locks and owners cannot be asked: nothing is swept there.
func ownedByUs(os.FileInfo) bool { return false }

func at(dir *os.File, name string) string { return filepath.Join(dir.Name(), name) }

func openAt(dir *os.File, name string) (*os.File, error) { return os.Open(at(dir, name)) }

func mkdirAt(dir *os.File, name string) error { return os.Mkdir(at(dir, name), 0o700) }

func rmdirAt(dir *os.File, name string) error { return os.Remove(at(dir, name)) }

func createAt(dir *os.File, name string, perm fs.FileMode) (*os.File, error) {
	return os.OpenFile(at(dir, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
}

func removeAt(dir *os.File, name string) error { return os.Remove(at(dir, name)) }

func linkAt(dir *os.File, name string, to *os.File, dst string) error {
	return os.Link(at(dir, name), at(to, dst))
}

func publishAt(dir *os.File, name string, to *os.File, dst string) error {
	return linkAt(dir, name, to, dst)
}

func renameAt(dir *os.File, name string, to *os.File, dst string) error {
	return os.Rename(at(dir, name), at(to, dst))
}

// syncDir does nothing where directories cannot be synced.
func syncDir(*os.File) error { return nil }
