package osfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Pin returns a path of f that leads through a descriptor of its directory, so it stays right when
// that directory is renamed. The caller closes dir after the last use of the path. Without /proc it
// is the path of f. Pin fails with [ErrMoved] if that leads to something else.
func Pin(f *os.File) (dir *os.File, path string, err error) {
	const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW
	dir, err = os.OpenFile(filepath.Dir(f.Name()), flags, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil, "", ErrMoved
	}
	if err != nil {
		return nil, "", err
	}
	name := filepath.Base(f.Name())
	if !leadsTo(dir, name, f) {
		dir.Close()
		return nil, "", ErrMoved
	}
	path = fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), name)
	if _, err := os.Lstat(path); err != nil {
		path = f.Name()
	}
	return dir, path, nil
}

func leadsTo(dir *os.File, name string, f *os.File) bool {
	var named, ours unix.Stat_t
	return unix.Fstatat(int(dir.Fd()), name, &named, unix.AT_SYMLINK_NOFOLLOW) == nil &&
		unix.Fstat(int(f.Fd()), &ours) == nil && named.Dev == ours.Dev && named.Ino == ours.Ino
}
