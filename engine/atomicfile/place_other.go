//go:build !linux

package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"
)

func openPlace(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.IsDir() {
		f.Close()
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrInvalid}
	}
	return f, nil
}

func reopenPlace(dir *os.File) (*os.File, error) { return openAt(dir, ".") }

func lstatAt(dir *os.File, name string) (fs.FileInfo, error) {
	return os.Lstat(filepath.Join(dir.Name(), name))
}
