package main

import (
	"os"
	"path/filepath"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// belongsTo reports whether name is that of the database or of a file beside it, existing or not.
// Symbolic links to the database are followed.
func belongsTo(name, database string) bool {
	files := engine.DatabaseFiles(database)
	if resolved, err := filepath.EvalSymlinks(database); err == nil {
		files = append(files, engine.DatabaseFiles(resolved)...)
	}
	for _, file := range files {
		if sameName(name, file) {
			return true
		}
	}
	return false
}

// sameName reports whether both are the name of the same file, which need not exist. Directories
// are compared by inode.
func sameName(a, b string) bool {
	if filepath.Base(a) != filepath.Base(b) {
		return false
	}
	dirA, errA := os.Stat(filepath.Dir(a))
	dirB, errB := os.Stat(filepath.Dir(b))
	return errA == nil && errB == nil && os.SameFile(dirA, dirB)
}
