package stage

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Directories gives the copies' directories the attributes of the live ones, and makes what is
// missing. A staged directory that is already right is not touched: backup programs look at its
// change time.
func (s *Stage) Directories(live []string) error {
	deepestFirst := slices.SortedFunc(slices.Values(live), func(a, b string) int {
		return cmp.Compare(strings.Count(b, "/"), strings.Count(a, "/"))
	})
	for _, dir := range deepestFirst {
		if err := s.directory(dir); err != nil {
			return failure("copy the attributes of", dir, err)
		}
	}
	return nil
}

func (s *Stage) directory(live string) error {
	staged := s.Path(live)
	if err := os.MkdirAll(staged, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(live)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was removed after its databases were copied
	}
	if err != nil {
		return err
	}
	if err := copyAttributes(live, staged); err != nil {
		return err
	}
	now, err := os.Lstat(staged)
	if err != nil || now.ModTime().Equal(info.ModTime()) {
		return err
	}
	return os.Chtimes(staged, info.ModTime(), info.ModTime())
}

// copyAttributes gives path the owner, mode and extended attributes, access control lists included,
// of model. The order matters: a change of owner clears mode bits, and a change of mode the mask of
// an access control list.
func copyAttributes(model, path string) error {
	want, err := os.Lstat(model)
	if err != nil {
		return err
	}
	have, err := os.Lstat(path)
	if err != nil {
		return err
	}
	owner, now := want.Sys().(*syscall.Stat_t), have.Sys().(*syscall.Stat_t)
	given := owner.Uid != now.Uid || owner.Gid != now.Gid
	if given {
		if err := os.Lchown(path, int(owner.Uid), int(owner.Gid)); err != nil {
			return err
		}
	}
	if given || want.Mode() != have.Mode() {
		if err := os.Chmod(path, want.Mode()); err != nil {
			return err
		}
	}
	return copyExtended(model, path)
}

func full(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }
