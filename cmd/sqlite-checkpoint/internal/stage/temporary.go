package stage

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// prefix begins the name of a stage that does not outlive its run. A search for databases leaves
// out what begins with atomicfile.Prefix.
const prefix = atomicfile.Prefix + "stage-"

// Temporary creates a stage in parent that Close removes. It first removes what killed runs have
// left there.
func Temporary(parent string) (*Stage, error) {
	sweep(parent)
	for {
		var random [12]byte
		rand.Read(random[:])
		s := &Stage{dir: filepath.Join(parent, prefix+hex.EncodeToString(random[:])), temporary: true}
		if err := os.Mkdir(s.dir, 0o700); err != nil {
			return nil, failure("create a stage in", parent, err)
		}
		err := s.lock()
		if err == nil {
			if err = s.root.Mkdir(MetaName, 0o700); err == nil {
				return s, nil
			}
			s.Close()
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.EWOULDBLOCK) { // a sweep took it
			return nil, failure("create", s.dir, err)
		}
	}
}

// lock opens the stage and takes its lock, which ends with the process. It fails with EWOULDBLOCK
// if another process has it.
func (s *Stage) lock() (err error) {
	if s.root, err = os.OpenRoot(s.dir); err != nil {
		return err
	}
	s.lockFile, err = s.root.Open(".")
	if err == nil {
		err = unix.Flock(int(s.lockFile.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err == nil {
		err = s.checkNamed()
	}
	if err != nil {
		s.unlock()
	}
	return err
}

// checkNamed fails with ErrNotExist if the locked directory no longer has the stage's name.
func (s *Stage) checkNamed() error {
	ours, err := s.lockFile.Stat()
	if err != nil {
		return err
	}
	theirs, err := os.Lstat(s.dir)
	if err == nil && !os.SameFile(ours, theirs) {
		return fs.ErrNotExist
	}
	return err
}

func (s *Stage) unlock() {
	if s.lockFile != nil {
		s.lockFile.Close()
	}
	s.root.Close()
}

// sweep removes the temporary stages in parent that no run has locked. It is best effort and
// reports nothing.
func sweep(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if !entry.IsDir() || !strings.HasPrefix(entry.Name(), prefix) {
			continue
		}
		s := &Stage{dir: filepath.Join(parent, entry.Name()), temporary: true}
		if s.lock() != nil {
			continue
		}
		if s.ours() {
			s.remove()
		}
		s.unlock()
	}
}

// ours reports whether the directory is a stage of this user. A user who may write to the parent
// could give another directory such a name, but only a stage is private and contains a private
// MetaName, or nothing.
func (s *Stage) ours() bool {
	dir, err := s.lockFile.Stat()
	if err != nil || !private(dir) {
		return false
	}
	meta, err := s.root.Lstat(MetaName)
	if err != nil {
		_, err := s.lockFile.Readdirnames(1)
		return err == io.EOF
	}
	return private(meta)
}

func private(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.IsDir() && info.Mode().Perm() == 0o700 && int(stat.Uid) == os.Geteuid()
}

// remove removes the stage, which is locked, relative to its own descriptor.
func (s *Stage) remove() error {
	if err := checkUnmounted(s.dir); err != nil {
		return err
	}
	allowRemoval(s.dir)
	entries, err := fs.ReadDir(s.root.FS(), ".")
	for _, entry := range entries {
		if entry.Name() != MetaName { // which marks it as ours
			err = errors.Join(err, s.root.RemoveAll(entry.Name()))
		}
	}
	if err = errors.Join(err, s.root.RemoveAll(MetaName)); err == nil {
		err = os.Remove(s.dir)
	}
	if err != nil {
		return failure("remove", s.dir, err)
	}
	return nil
}
