// Package view shows a program a file tree in which every database is a copy at the database's own
// path.
//
// A process in a mount namespace of its own mounts a staged directory over each live directory that
// holds databases, and then mounts the other entries of the live directory onto the staged one. It
// covers whole directories rather than single files: a mount on a file is gone when the application
// replaces the file by rename, and a -wal that is created later would be seen. The program is then
// started in that namespace. No other process sees any of it, and the kernel unmounts it all when
// the last process in the namespace has ended.
//
// The live entries are mounted onto the mount of the staged directory, never onto the staged
// directory itself: no process that removes a stage, in whatever namespace, can reach a live file
// through it.
package view

import (
	"errors"
	"strings"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// A View says what Mount mounts.
type View struct {
	Directories []Directory // parents before their children
	Hide        []string    // directories that are shown empty
}

// A Directory is one in which databases are shown as copies. It is shown as it was when the view
// was mounted: later additions, removals and renames of entries are not seen.
type Directory struct {
	Path   string   // absolute, without symbolic links
	Staged string   // what is mounted there: it has the live directory's owner, mode and attributes, and the copies
	Copies []string // the entries that Staged has itself
	Absent []string // databases that are hidden
	Live   []string // entries that are shown as they are even if they are databases
}

// ErrRefused means that this process may not create a mount namespace, or may not mount in it.
var ErrRefused = errors.New("this system does not allow a private mount namespace here")

// sideFiles are what SQLite keeps beside a database.
var sideFiles = []string{"-wal", "-shm", "-journal"}

// hidden returns the names that are not shown live: the databases and the files beside them.
func (d Directory) hidden(newcomers []string) map[string]bool {
	names := map[string]bool{}
	for _, list := range [][]string{d.Copies, d.Absent, newcomers} {
		for _, name := range list {
			names[name] = true
			for _, suffix := range sideFiles {
				names[name+suffix] = true
			}
		}
	}
	return names
}

// private reports whether an entry is a directory of temporary files of this program.
func private(name string) bool { return strings.HasPrefix(name, atomicfile.Prefix) }
