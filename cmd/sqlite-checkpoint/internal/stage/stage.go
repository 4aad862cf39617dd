// Package stage makes verified copies of many databases, laid out below one directory as the
// databases lie in the file system: the copy of /srv/app/app.db is DIR/srv/app/app.db, with owner,
// mode, times and extended attributes of the database.
//
// The directory is private (mode 0700), because the directories in it belong to those who own the
// live ones.
package stage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// MetaName is the directory in a stage in which it keeps what is not a copy.
const MetaName = ".sqlite-checkpoint"

// A Stage is a directory of copies that no other process uses. It is not safe for concurrent use.
type Stage struct {
	dir       string
	temporary bool // it does not outlive Close
	root      *os.Root
	lockFile  *os.File
	records   map[string]record
}

// Dir returns the stage's directory.
func (s *Stage) Dir() string { return s.dir }

// Path returns the path in the stage of the copy of a database, or of a directory, given its
// absolute live path.
func (s *Stage) Path(live string) string { return filepath.Join(s.dir, live) }

// Aside returns the path of a file in the stage that is not a copy; with an empty name, of their
// directory.
func (s *Stage) Aside(name string) string { return filepath.Join(s.meta(), name) }

func (s *Stage) meta() string { return filepath.Join(s.dir, MetaName) }

// Close unlocks the stage, and removes one that is temporary.
func (s *Stage) Close() (err error) {
	if s.temporary {
		err = s.remove()
	}
	s.unlock()
	return err
}

// allowRemoval gives this user the permission to empty the directories below dir, which have the
// modes of live ones. Root needs none.
func allowRemoval(dir string) {
	if os.Geteuid() == 0 {
		return
	}
	filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return nil
		}
		if info, err := entry.Info(); err == nil && info.Mode()&0o700 != 0o700 {
			os.Chmod(path, 0o700)
		}
		return nil
	})
}

// checkUnmounted fails if something is mounted below dir in this process's namespace: to remove
// the stage would remove what is mounted there. Where there is no mountinfo there is no view.
func checkUnmounted(dir string) error {
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(info)) {
		const mountPoint = 4 // see proc_pid_mountinfo(5)
		fields := strings.Fields(line)
		if len(fields) > mountPoint && strings.HasPrefix(unescape.Replace(fields[mountPoint]), dir+"/") {
			return failure("use", dir, fmt.Errorf("%s is mounted in it", fields[mountPoint]))
		}
	}
	return nil
}

// unescape decodes a path in mountinfo.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// failure classifies an error of the stage.
func failure(op, path string, err error) error {
	var known *engine.Error
	if errors.As(err, &known) {
		return err
	}
	kind := engine.KindTemp
	switch {
	case full(err):
		kind = engine.KindNoSpace
	case errors.Is(err, unix.EPERM): // only root may give files away
		kind = engine.KindNotOwner
	}
	var pathError *fs.PathError
	var linkError *os.LinkError
	switch {
	case errors.As(err, &pathError):
		err = pathError.Err
	case errors.As(err, &linkError):
		err = linkError.Err
	}
	return &engine.Error{Kind: kind, Op: op, Path: path, Err: err}
}
