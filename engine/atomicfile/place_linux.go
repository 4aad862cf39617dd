package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// placeFlags open a directory that the user may write to but not read.
const placeFlags = unix.O_PATH | unix.O_DIRECTORY

func openPlace(path string) (*os.File, error) {
	if os.Geteuid() != 0 || path == "" {
		return os.OpenFile(path, placeFlags, 0)
	}
	dir, err := openTrusted(path)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer dir.Close()
	return openFileAt(dir, ".", path, placeFlags, 0)
}

func reopenPlace(dir *os.File) (*os.File, error) {
	return openFileAt(dir, ".", dir.Name(), placeFlags, 0)
}

func openSub(dir *os.File, name string) (*os.File, error) {
	return openFileAt(dir, name, filepath.Join(dir.Name(), name), placeFlags|unix.O_NOFOLLOW, 0)
}

// lstatAt is fstat(2) of a descriptor that does not open the file itself.
func lstatAt(dir *os.File, name string) (fs.FileInfo, error) {
	f, err := openFileAt(dir, name, filepath.Join(dir.Name(), name), unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Stat()
}

// maxLinks is how many symbolic links Linux follows on one path.
const maxLinks = 40

// openTrusted opens the directory path, and follows no symbolic link but root's.
func openTrusted(path string) (*os.File, error) {
	return walk(nil, path, func(path string, link fs.FileInfo) error {
		if !ownedByUs(link) {
			return fmt.Errorf("%s is a %w", path, ErrForeignLink)
		}
		return nil
	})
}

// walk opens the directory path, below dir unless that is nil, one name after the other. Each name
// is looked up once, so that a link that follow has seen is the one that is followed. It closes
// dir.
func walk(dir *os.File, path string, follow followFunc) (*os.File, error) {
	dir, err := startAt(dir, path)
	names := strings.Split(path, "/")
	for links := 0; err == nil && len(names) > 0; {
		name := names[0]
		names = names[1:]
		if name == "" || name == "." {
			continue
		}
		var next *os.File
		var target string
		next, target, err = step(dir, name, follow)
		switch {
		case err != nil:
		case next != nil:
			dir.Close()
			dir = next
		case links == maxLinks:
			err = unix.ELOOP
		default:
			links++
			names = append(strings.Split(target, "/"), names...)
			dir, err = startAt(dir, target)
		}
	}
	if err != nil {
		dir.Close()
		if known := (*fs.PathError)(nil); errors.As(err, &known) {
			err = known.Err
		}
		return nil, err
	}
	return dir, nil
}

// startAt opens the directory that path begins in, which may be dir.
func startAt(dir *os.File, path string) (*os.File, error) {
	begin := "."
	switch {
	case filepath.IsAbs(path):
		begin = "/"
	case dir != nil:
		return dir, nil
	}
	dir.Close()
	return os.OpenFile(begin, placeFlags, 0)
}

// locate opens the directory that the file path is in.
func locate(path string, follow followFunc) (dir *os.File, name string, err error) {
	for links := 0; ; links++ {
		path, name = filepath.Split(path)
		if dir, err = walk(dir, path, follow); err != nil {
			return nil, "", err
		}
		var next *os.File
		next, path, err = step(dir, name, follow)
		switch {
		case errors.Is(err, unix.ENOTDIR):
			return dir, name, nil
		case next != nil:
			next.Close()
			err = unix.EISDIR
		case err == nil && links == maxLinks:
			err = unix.ELOOP
		}
		if err != nil {
			dir.Close()
			return nil, "", err
		}
	}
}

// step opens the directory name of dir, or returns the target of a link that follow lets pass. The
// kernel follows the links of /proc, whose targets may have no path. It fails with ENOTDIR for any
// other file.
func step(dir *os.File, name string, follow followFunc) (next *os.File, target string, err error) {
	path := filepath.Join(dir.Name(), name)
	// A directory is opened as such, or automount would not mount it.
	next, err = openFileAt(dir, name, path, placeFlags|unix.O_NOFOLLOW, 0)
	if !errors.Is(err, unix.ENOTDIR) {
		return next, "", err
	}
	link, err := openFileAt(dir, name, path, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, "", err
	}
	info, err := link.Stat()
	if err == nil && info.IsDir() { // it has become one
		return link, "", nil
	}
	defer link.Close()
	switch {
	case err != nil:
		return nil, "", err
	case info.Mode().Type() != fs.ModeSymlink:
		return nil, "", unix.ENOTDIR
	}
	if err := follow(path, info); err != nil {
		return nil, "", err
	}
	if isProc(link) {
		next, err = openFileAt(dir, name, path, placeFlags, 0)
		if !errors.Is(err, unix.ENOTDIR) {
			return next, "", err
		}
	}
	target, err = readLink(link)
	return nil, target, err
}

func readLink(link *os.File) (string, error) {
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(link.Fd()), "", target)
	if err == nil && n == 0 {
		err = unix.ENOENT
	}
	if err != nil {
		return "", err
	}
	return string(target[:n]), nil
}

func isProc(f *os.File) bool {
	var stat unix.Statfs_t
	return unix.Fstatfs(int(f.Fd()), &stat) == nil && int64(stat.Type) == unix.PROC_SUPER_MAGIC
}
