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

// lockDir opens the directory and takes its flock, which goes with the process, however it dies. It fails with
// errLocked if another process has the lock, with errReplaced if path is no directory, or gone.
func lockDir(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil, errReplaced
	}
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, &os.PathError{Op: "flock", Path: path, Err: err}
	}
	return f, nil
}

func ownedByUs(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// createAt makes the new file name of the directory, with the mode perm less the umask.
func createAt(dir *os.File, name string, perm os.FileMode) (*os.File, error) {
	path := filepath.Join(dir.Name(), name)
	const flags = unix.O_RDWR | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(int(dir.Fd()), name, flags, uint32(perm.Perm()))
	if err != nil {
		return nil, &fs.PathError{Op: "create", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

func removeAt(dir *os.File, name string) error {
	if err := unix.Unlinkat(int(dir.Fd()), name, 0); err != nil {
		return &fs.PathError{Op: "remove", Path: filepath.Join(dir.Name(), name), Err: err}
	}
	return nil
}

// linkAt gives the file name of the directory the name dst without ever replacing anything: by link(2) where there
// are hard links, else by renameat2(2) with RENAME_NOREPLACE.
func linkAt(dir *os.File, name, dst string) error {
	err := unix.Linkat(int(dir.Fd()), name, unix.AT_FDCWD, dst, 0)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		switch renameErr := renameNoReplaceAt(dir, name, dst); {
		case renameErr == nil:
			return nil
		case errors.Is(renameErr, unix.EEXIST):
			err = renameErr
		default:
			err = fmt.Errorf("neither link(2) nor a rename that replaces nothing: %w", err)
		}
	}
	return linkError("publish", dir, name, dst, err)
}

// renameAt gives the file name of the directory the name dst, whoever has it.
func renameAt(dir *os.File, name, dst string) error {
	return linkError("rename", dir, name, dst, unix.Renameat(int(dir.Fd()), name, unix.AT_FDCWD, dst))
}

func linkError(op string, dir *os.File, name, dst string, err error) error {
	if err == nil {
		return nil
	}
	return &os.LinkError{Op: op, Old: filepath.Join(dir.Name(), name), New: dst, Err: err}
}

// SyncDir makes the names in a directory durable. File systems that cannot sync a directory say EINVAL or ENOTSUP,
// which is no error: they have nothing to do.
func SyncDir(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0) // not to wait for the other end of a FIFO
	if err != nil {
		return err
	}
	defer f.Close()
	err = f.Sync()
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return err
}
