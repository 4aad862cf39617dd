package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
)

// PartName is a name for one of many files of a private directory.
func PartName(n int64) string { return fmt.Sprintf("part-%016x", n) }

func isPart(name string) bool {
	var n int64
	_, err := fmt.Sscanf(name, "part-%x", &n)
	return err == nil && name == PartName(n)
}

func isContent(name string) bool { return slices.Contains(contents, name) || isPart(name) }

// fewFiles is how many files are synced one by one. More are synced faster with the whole file
// system, although that includes what others have written to it.
const fewFiles = 64

// Sync makes the content of all files in the directory durable, once all are written.
func (d *Dir) Sync() error {
	names, err := d.names()
	if err != nil {
		return err
	}
	if len(names) > fewFiles && canSyncFilesystem {
		return syncFilesystem(d.dir)
	}
	for _, name := range names {
		if err := d.syncFile(name); err != nil {
			return err
		}
	}
	return nil
}

func (d *Dir) syncFile(name string) error {
	f, err := openAt(d.dir, name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Move renames the private file name, which the caller has synced, to dst in the directory to, and
// replaces a file of that name.
func (d *Dir) Move(name string, to *Place, dst string) error {
	return renameAt(d.dir, name, to.dir, dst)
}

func (d *Dir) names() (names []string, err error) {
	err = eachName(d.dir, func(name string) error {
		names = append(names, name)
		return nil
	})
	return names, err
}

// eachName calls f with every name in the directory until f fails.
func eachName(dir *os.File, f func(name string) error) error {
	list, err := openAt(dir, ".")
	if err != nil {
		return err
	}
	defer list.Close()
	const batch = 1024
	for {
		names, err := list.Readdirnames(batch)
		for _, name := range names {
			if err := f(name); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// removeParts removes the parts that are left, and fails if there are none.
func (d *Dir) removeParts() error {
	names, err := d.names()
	names = slices.DeleteFunc(names, func(name string) bool { return !isPart(name) })
	for _, name := range names {
		err = errors.Join(err, d.Remove(name))
	}
	if err == nil && len(names) == 0 {
		err = fs.ErrNotExist
	}
	return err
}
