package stage

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// Write writes a file of our own into the stage, as an entry of the live directory in which it is
// to be seen, and gives it the owner of that directory. A file that is already right is not
// touched.
func (s *Stage) Write(live string, data []byte, modified time.Time) error {
	name := s.Path(live)
	if now, err := os.ReadFile(name); err == nil && bytes.Equal(now, data) {
		return nil
	}
	if err := makeDir(filepath.Dir(name)); err != nil {
		return failure("create", filepath.Dir(name), err)
	}
	temporary := s.Aside("file")
	err := atomicfile.Replace(temporary, data, 0o600)
	if err == nil {
		err = giveTo(temporary, filepath.Dir(live))
	}
	if err == nil {
		err = os.Chtimes(temporary, modified, modified)
	}
	if err == nil {
		err = os.Rename(temporary, name)
	}
	if err != nil {
		return failure("create", name, err)
	}
	return nil
}

// giveTo gives a file the owner of dir.
func giveTo(file, dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat := info.Sys().(*syscall.Stat_t)
	return os.Lchown(file, int(stat.Uid), int(stat.Gid))
}

// WriteAside writes a file that is not to be seen in any live directory.
func (s *Stage) WriteAside(name string, data []byte) error {
	path := s.Aside(name)
	if now, err := os.ReadFile(path); err == nil && bytes.Equal(now, data) {
		return nil
	}
	if err := atomicfile.Replace(path, data, 0o600); err != nil {
		return failure("create", path, err)
	}
	return nil
}
