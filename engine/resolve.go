package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

// ErrNamespace is the cause of an [Error] about a path like /proc/PID/root/srv/app.db, whose links
// lead elsewhere than their text says. SQLite goes by the text.
var ErrNamespace = errors.New("its path leads into another mount namespace, where SQLite cannot follow")

// Resolve returns the absolute path of a file, without symbolic links. It fails with [ErrNamespace]
// where that is the path of another file, or of none.
func Resolve(name string) (string, error) {
	const attempts = 3 // the file may be replaced between two looks
	for attempt := 1; ; attempt++ {
		path, err := filepath.EvalSymlinks(name)
		if err == nil {
			path, err = filepath.Abs(path)
		}
		named, nameErr := os.Stat(name)
		if nameErr != nil {
			return path, err
		}
		info, pathErr := os.Stat(path)
		switch {
		case pathErr == nil && os.SameFile(named, info):
			return path, err
		case pathErr != nil && !errors.Is(pathErr, fs.ErrNotExist): // it cannot be entered from /
			return path, err
		}
		if attempt == attempts {
			return "", ErrNamespace
		}
	}
}

// A trail lists the symbolic links on the path to a source.
type trail []link

// A link is one of them, with its owner.
type link struct {
	path string
	uid  int
}

func (t *trail) follow(path string, info fs.FileInfo) error {
	uid, _ := osfile.Owner(info)
	*t = append(*t, link{path, uid})
	return nil
}

// check refuses a symbolic link whose owner may not read the database that it leads to, if the
// caller may read everybody's files: that user could get hold of the copy.
func (t trail) check(op string, s *sourceFile) error {
	if !osfile.ReadsEverything() {
		return nil
	}
	path := filepath.Join(s.dir.Path(), s.base)
	for _, l := range t {
		if l.uid != 0 && l.uid != os.Geteuid() && l.uid != ownerID(s.info) && !osfile.MayRead(l.uid, path, s.info) {
			return &Error{Kind: KindForeignFile, Op: op, Path: s.name, Err: fmt.Errorf(
				"%s is a %w, uid %d, who may not read %s", l.path, atomicfile.ErrForeignLink, l.uid, path)}
		}
	}
	return nil
}
