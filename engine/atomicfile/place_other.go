//go:build !linux

package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
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

func locate(path string, _ followFunc) (dir *os.File, name string, err error) {
	path, err = filepath.EvalSymlinks(path)
	if err == nil {
		dir, err = openPlace(filepath.Dir(path))
	}
	return dir, filepath.Base(path), err
}

func reopenPlace(dir *os.File) (*os.File, error) { return openAt(dir, ".") }

func openSub(dir *os.File, name string) (*os.File, error) {
	info, err := lstatAt(dir, name)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: filepath.Join(dir.Name(), name), Err: syscall.ENOTDIR}
	}
	if err != nil {
		return nil, err
	}
	return openAt(dir, name)
}

func lstatAt(dir *os.File, name string) (fs.FileInfo, error) {
	return os.Lstat(filepath.Join(dir.Name(), name))
}
