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

// openTrusted opens the directory path one name after the other, and follows no symbolic link but
// root's. Each name is looked up once, so that what is checked is what is followed.
func openTrusted(path string) (*os.File, error) {
	dir, err := os.OpenFile(start(path), placeFlags, 0)
	names := strings.Split(path, "/")
	for links := 0; err == nil && len(names) > 0; {
		name := names[0]
		names = names[1:]
		if name == "" || name == "." {
			continue
		}
		var next *os.File
		var target string
		next, target, err = step(dir, name)
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
			if filepath.IsAbs(target) {
				dir.Close()
				dir, err = os.OpenFile("/", placeFlags, 0)
			}
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

func start(path string) string {
	if filepath.IsAbs(path) {
		return "/"
	}
	return "."
}

// step opens the directory name of dir, or returns the target if it is a link of root's. The kernel
// follows the links of /proc, whose targets may have no path.
func step(dir *os.File, name string) (next *os.File, target string, err error) {
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
	case !ownedByUs(info):
		return nil, "", fmt.Errorf("%s is a %w", path, ErrForeignLink)
	case isProc(link):
		next, err = openFileAt(dir, name, path, placeFlags, 0)
		return next, "", err
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
