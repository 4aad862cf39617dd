package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// A destDir is a directory that a backup writes files to.
type destDir struct {
	dir  string // empty if the destination is something else
	made bool   // by this run
}

// make creates the directory for a backup of source if its parent exists: a longer path that is
// missing may be a file system that is not mounted.
func (d *destDir) make(source string) error {
	if isDirectory(d.dir) {
		return nil
	}
	if _, err := os.Stat(source); err != nil {
		return &engine.Error{Kind: engine.KindMissing, Op: "open", Path: source, Err: cause(err)}
	}
	parent, name, err := atomicfile.OpenPlaceOf(filepath.Clean(d.dir))
	if err == nil {
		defer parent.Close()
		err = parent.Mkdir(name)
	}
	switch {
	case err == nil:
		d.made = true
		parent.Sync() // publishing the copy reports what is wrong
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("create a copy in %s: %w", d.dir, cause(err))
		return &fault{kind: engine.KindTemp, err: err, hint: "mount it, or create its parent with mkdir"}
	case !isDirectory(d.dir): // another backup may have made it meanwhile
		return fileFault(fmt.Errorf("create directory %s: %w", d.dir, cause(err)))
	}
	return nil
}

// removeIfMade removes the directory if this run has created it and it is empty.
func (d *destDir) removeIfMade() {
	if !d.made {
		return
	}
	if parent, name, err := atomicfile.OpenPlaceOf(filepath.Clean(d.dir)); err == nil {
		parent.Rmdir(name)
		parent.Close()
	}
}

func isDirectory(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}
