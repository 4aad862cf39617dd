package main

import (
	"os"
	"path/filepath"
)

// databaseFiles are the names of a database and of the files that SQLite keeps beside it.
func databaseFiles(database string) []string {
	return []string{database, database + "-wal", database + "-shm", database + "-journal"}
}

// belongsTo reports whether name is one of the database's files, or would become one. A symbolic link stands for the
// database that it leads to.
func belongsTo(name, database string) bool {
	files := databaseFiles(database)
	if resolved, err := filepath.EvalSymlinks(database); err == nil {
		files = append(files, databaseFiles(resolved)...)
	}
	for _, file := range files {
		if sameName(name, file) {
			return true
		}
	}
	return false
}

// sameName compares the names of files that need not exist. Their directories are compared by inode, as a path can be
// spelled in many ways.
func sameName(a, b string) bool {
	if filepath.Base(a) != filepath.Base(b) {
		return false
	}
	dirA, errA := os.Stat(filepath.Dir(a))
	dirB, errB := os.Stat(filepath.Dir(b))
	return errA == nil && errB == nil && os.SameFile(dirA, dirB)
}
