//go:build unix

package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// openFileAt opens the file name of the directory; path is its name for messages.
func openFileAt(dir *os.File, name, path string, flags int, perm fs.FileMode) (*os.File, error) {
	for {
		fd, err := unix.Openat(int(dir.Fd()), name, flags|unix.O_CLOEXEC, uint32(perm.Perm()))
		if err == nil {
			return os.NewFile(uintptr(fd), path), nil
		}
		if !errors.Is(err, unix.EINTR) {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

func openAt(dir *os.File, name string) (*os.File, error) {
	path := filepath.Join(dir.Name(), name)
	return openFileAt(dir, name, path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
}

// lockDir opens the private directory and takes its flock, which ends with the process. It fails
// with ErrLocked if another process has the lock, with errReplaced if there is no directory of that
// name.
func lockDir(parent *os.File, name string) (*os.File, error) {
	path := filepath.Join(parent.Name(), name)
	f, err := openFileAt(parent, name, path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil, errReplaced
	}
	if err != nil {
		return nil, err
	}
	if err := takeLock(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// takeLock takes the flock(2) of a file, which ends with the process.
func takeLock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	if err != nil {
		return &os.PathError{Op: "flock", Path: f.Name(), Err: err}
	}
	return nil
}

func mkdirAt(dir *os.File, name string) error {
	return pathError("mkdir", dir, name, unix.Mkdirat(int(dir.Fd()), name, 0o700))
}

func rmdirAt(dir *os.File, name string) error {
	return pathError("remove", dir, name, unix.Unlinkat(int(dir.Fd()), name, unix.AT_REMOVEDIR))
}

func pathError(op string, dir *os.File, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: filepath.Join(dir.Name(), name), Err: err}
}

func ownedByUs(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// createAt creates the file name in the directory, with the mode perm less the umask.
func createAt(dir *os.File, name string, perm os.FileMode) (*os.File, error) {
	const flags = unix.O_RDWR | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW
	return openFileAt(dir, name, filepath.Join(dir.Name(), name), flags, perm)
}

func removeAt(dir *os.File, name string) error {
	return pathError("remove", dir, name, unix.Unlinkat(int(dir.Fd()), name, 0))
}

// linkAt gives the file name in dir a second name, dst in the directory to. It never replaces
// anything.
func linkAt(dir *os.File, name string, to *os.File, dst string) error {
	return linkError("link", dir, name, to, dst, unix.Linkat(int(dir.Fd()), name, int(to.Fd()), dst, 0))
}

// publishAt is linkAt, or renameat2(2) with RENAME_NOREPLACE where there are no hard links.
func publishAt(dir *os.File, name string, to *os.File, dst string) error {
	err := unix.Linkat(int(dir.Fd()), name, int(to.Fd()), dst, 0)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		switch renameErr := renameNoReplaceAt(dir, name, to, dst); {
		case renameErr == nil:
			return nil
		case errors.Is(renameErr, unix.EEXIST):
			err = renameErr
		default:
			err = fmt.Errorf("neither link(2) nor a rename that replaces nothing: %w", err)
		}
	}
	return linkError("publish", dir, name, to, dst, err)
}

// renameAt renames the file name in dir to dst in the directory to, and replaces a file of that
// name.
func renameAt(dir *os.File, name string, to *os.File, dst string) error {
	return linkError("rename", dir, name, to, dst, unix.Renameat(int(dir.Fd()), name, int(to.Fd()), dst))
}

func linkError(op string, dir *os.File, name string, to *os.File, dst string, err error) error {
	if err == nil {
		return nil
	}
	return &os.LinkError{Op: op, Old: filepath.Join(dir.Name(), name), New: filepath.Join(to.Name(), dst), Err: err}
}

// syncDir makes the names in a directory durable. File systems that have nothing to sync return
// EINVAL or ENOTSUP, which is no error.
func syncDir(dir *os.File) error {
	err := dir.Sync()
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return err
}
