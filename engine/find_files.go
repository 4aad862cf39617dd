package engine

import (
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"
)

// findBatch is how many files are read between two listings of the process's own descriptors.
const findBatch = 256

// examine reads the beginning of regular files. The engine opens no database meanwhile.
func (f *finder) examine(dir *os.File, below string, names []string) {
	defer lockForSearch(int(dir.Fd()))()
	now := time.Now()
	held := sync.OnceValue(osfile.OpenInodes) // rarely needed, as most files are known from the last search
	for _, name := range names {
		f.progress()
		if f.isSideFile(path.Join(below, name)) {
			continue
		}
		var stat unix.Stat_t
		if err := unix.Fstatat(int(dir.Fd()), name, &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			f.skipError(path.Join(below, name), err)
			continue
		}
		file := tokenFileOf(osfile.StateOfDescriptor(&stat))
		known := f.known[path.Join(below, name)]
		switch {
		case stat.Mode&unix.S_IFMT != unix.S_IFREG || stat.Size < sqlitefile.MinPageSize:
		case known.stillKnown(file):
			f.remember(path.Join(below, name), known)
		case held()[osfile.Inode{Dev: file.dev, Ino: file.ino}] > 0:
			f.skip(path.Join(below, name), SkipInProcess, nil)
		default:
			f.examineFile(dir, below, name, knownFile{file: file, settled: file.settled(now)})
		}
	}
}

// isSideFile reports whether the file is the -wal, -shm or -journal of a database that was found.
func (f *finder) isSideFile(below string) bool {
	return slices.ContainsFunc(auxSuffixes, func(suffix string) bool {
		database, found := strings.CutSuffix(below, suffix)
		return found && f.seen[database].database
	})
}

func (f *finder) examineFile(dir *os.File, below, name string, file knownFile) {
	fd, err := osfile.OpenBelow(dir, name, unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		f.skipError(path.Join(below, name), err)
		return
	}
	defer unix.Close(fd)
	var start [len(sqlitefile.HeaderMagic)]byte
	n, err := unix.Pread(fd, start[:], 0)
	if err != nil {
		f.skipError(path.Join(below, name), err)
		return
	}
	file.database = string(start[:n]) == sqlitefile.HeaderMagic
	f.remember(path.Join(below, name), file)
}

func (f *finder) remember(below string, file knownFile) {
	f.seen[below] = file
	if file.database {
		f.found.Databases = append(f.found.Databases, f.path(below))
	}
}
