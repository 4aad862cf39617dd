//go:build !unix

package atomicfile

import (
	"os"
	"path/filepath"
)

func lockDir(path string) (*os.File, error) { return os.Open(path) }

// ownedByUs is false where locks and owners cannot be asked: nothing is swept there.
func ownedByUs(os.FileInfo) bool { return false }

func createAt(dir *os.File, name string, perm os.FileMode) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir.Name(), name), os.O_RDWR|os.O_CREATE|os.O_EXCL, perm)
}

func removeAt(dir *os.File, name string) error { return os.Remove(filepath.Join(dir.Name(), name)) }

func linkAt(dir *os.File, name, dst string) error {
	return os.Link(filepath.Join(dir.Name(), name), dst)
}

func renameAt(dir *os.File, name, dst string) error {
	return os.Rename(filepath.Join(dir.Name(), name), dst)
}

// SyncDir does nothing where directories cannot be synced.
func SyncDir(string) error { return nil }
