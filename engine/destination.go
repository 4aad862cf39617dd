package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// auxSuffixes are the suffixes of the files that SQLite would take for a part of a database.
var auxSuffixes = []string{"-wal", "-shm", "-journal"}

// DatabaseFiles returns the name of the database and those of the files that SQLite keeps beside
// it: -wal, -shm and -journal.
func DatabaseFiles(database string) []string {
	names := make([]string, len(databaseSuffixes))
	for i, suffix := range databaseSuffixes {
		names[i] = database + suffix
	}
	return names
}

// databaseSuffixes are those of all files of a database, the main file first.
var databaseSuffixes = append([]string{""}, auxSuffixes...)

// CheckDestination fails if dst cannot become a new database: with [KindExists] if it, or a file
// that SQLite would take for a part of it, exists, dangling symbolic links included; with
// [KindSameFile] if it is the database source, unless source is empty, or would be taken for a part
// of any database; with [KindTemp] if its directory cannot be opened.
func CheckDestination(source, dst string) error {
	if source != "" && sameDatabase(source, dst) {
		return &Error{Kind: KindSameFile, Op: "create", Path: dst,
			Err: errors.New("source and destination are the same database")}
	}
	place, err := openPlaceOf(dst)
	if err != nil {
		return err
	}
	defer place.Close()
	if err := checkNoPart(place, dst); err != nil {
		return err
	}
	return checkAbsent(place, dst)
}

// checkNoPart fails with KindSameFile if SQLite would take dst for a part of a database that is
// there: it would read it as a log of changes, or remove it.
func checkNoPart(place *atomicfile.Place, dst string) error {
	for _, suffix := range auxSuffixes {
		database, found := strings.CutSuffix(atomicfile.Base(dst), suffix)
		if !found || database == "" {
			continue
		}
		if info, err := place.Lstat(database); err == nil && !info.IsDir() {
			return &Error{Kind: KindSameFile, Op: "create", Path: dst,
				Err: fmt.Errorf("SQLite would take it for a part of %s", strings.TrimSuffix(dst, suffix))}
		}
	}
	return nil
}

// openPlaceOf opens the directory of a new database, or fails with KindTemp.
func openPlaceOf(dst string) (*atomicfile.Place, error) {
	dir := filepath.Dir(dst)
	place, err := atomicfile.OpenPlace(dir)
	if err != nil {
		return nil, tempError("create", dst, fmt.Errorf("directory %s: %w", dir, underlying(err)))
	}
	return place, nil
}

// checkAbsent fails with KindExists if the database dst, in the directory place, or a file that
// SQLite would take for a part of it, exists.
func checkAbsent(place *atomicfile.Place, dst string) error {
	name := atomicfile.Base(dst)
	for _, suffix := range databaseSuffixes {
		err := place.CheckAbsent(name + suffix)
		if errors.Is(err, fs.ErrExist) {
			return &Error{Kind: KindExists, Op: "create", Path: dst, Err: fmt.Errorf("%s exists", dst+suffix)}
		}
		if err != nil {
			return tempError("create", dst, err)
		}
	}
	return nil
}

// syncImage makes a finished image durable. It may take seconds, so it comes before publishImage,
// which looks at the names.
func syncImage(file *os.File, dst string) error {
	if err := file.Sync(); err != nil {
		return tempError("write", dst, err)
	}
	return nil
}

// publishImage gives the image in the private directory the name dst.
func publishImage(dir *atomicfile.Dir, dst string) error {
	if err := checkAbsent(dir.Parent(), dst); err != nil {
		return err
	}
	return linkImage(dir, dst)
}

func linkImage(dir *atomicfile.Dir, dst string) error {
	if err := dir.Publish(imageName, atomicfile.Base(dst)); err != nil {
		return tempError("create", dst, err)
	}
	return nil
}

// sameDatabase reports whether both names lead to one database, or dst is a file beside source.
func sameDatabase(source, dst string) bool {
	a, err := os.Stat(source)
	if err != nil {
		return false
	}
	if b, err := os.Stat(dst); err == nil && os.SameFile(a, b) {
		return true
	}
	resolved, err := filepath.EvalSymlinks(source)
	if err != nil {
		return false
	}
	for _, suffix := range auxSuffixes {
		if sameName(resolved+suffix, dst) {
			return true
		}
	}
	return false
}

// sameName compares the names of files that need not exist, in directories that do.
func sameName(a, b string) bool {
	dirA, errA := os.Stat(filepath.Dir(a))
	dirB, errB := os.Stat(filepath.Dir(b))
	return errA == nil && errB == nil && filepath.Base(a) == filepath.Base(b) && os.SameFile(dirA, dirB)
}
