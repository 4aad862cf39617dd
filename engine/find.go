package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

// FindOptions are the options of [FindDatabases].
type FindOptions struct {
	// Exclude holds patterns in the syntax of [path.Match]. A pattern without a slash is matched
	// against the name of every file and directory, one that begins with a slash against its
	// absolute path, and any other against its path below the root. A directory that matches is
	// left out with all it contains.
	Exclude []string
	// Cache, if not nil, remembers what was found, so that the next search of the same root opens
	// only files that are new or have changed, and no database twice.
	Cache *FindCache
	// Progress, if not nil, is called after every step that waits for the file system.
	Progress func()
}

// A FindCache serves repeated searches of one root. The zero value is ready for use.
type FindCache struct{ files map[string]knownFile }

// A knownFile has been read. A file that is no database is read again when it has changed.
type knownFile struct {
	file     tokenFile
	settled  bool // the next change gives it other times
	database bool
}

func (k knownFile) stillKnown(now tokenFile) bool {
	if k.database {
		return k.file.dev == now.dev && k.file.ino == now.ino
	}
	return k.settled && k.file == now
}

// Found is what [FindDatabases] found, sorted by path. Paths begin with the root as the caller gave
// it.
type Found struct {
	Databases []string
	Skipped   []Skipped
}

// Skipped is an entry below the root that was not searched.
type Skipped struct {
	Path   string
	Reason SkipReason
	Err    error // under SkipUnreadable
}

// A SkipReason says why [FindDatabases] left out an entry.
type SkipReason string

const (
	SkipExcluded   SkipReason = "excluded"        // it matches a pattern of FindOptions.Exclude
	SkipInProcess  SkipReason = "open_in_process" // this process has the file open: see FindDatabases
	SkipMount      SkipReason = "mount"           // a directory that something is mounted on
	SkipPrivate    SkipReason = "private"         // a private directory of this package
	SkipSymlink    SkipReason = "symlink"         // a symbolic link, wherever it leads
	SkipUnreadable SkipReason = "unreadable"      // it could not be opened or read
)

// FindDatabases searches the directory root, and every directory below it, for SQLite databases. A
// database is a regular file of at least 512 bytes that begins with SQLite's 16-byte magic string,
// of any name but that of another one's -wal, -shm or -journal. A root that is not a directory is
// returned as the only database without being opened.
//
// Symbolic links below root, and directories that something is mounted on, are not followed but
// listed in Skipped, and so is everything that cannot be read. Only a root that cannot be opened, a
// malformed pattern ([KindPattern]) and the end of ctx are errors.
//
// FindDatabases opens and closes every file that it looks into, which would drop the POSIX locks of
// an SQLite connection that the calling process has open on the same file. It therefore skips files
// that the process holds open; but a connection that the caller opens while FindDatabases runs may
// lose its locks.
func FindDatabases(ctx context.Context, root string, opts FindOptions) (Found, error) {
	const op = "search"
	for _, pattern := range opts.Exclude {
		if _, err := path.Match(pattern, ""); err != nil {
			return Found{}, &Error{Kind: KindPattern, Op: "exclude", Path: pattern, Err: err}
		}
	}
	info, err := os.Stat(root)
	if err != nil {
		return Found{}, sourceError(op, root, err)
	}
	if !info.IsDir() {
		return Found{Databases: []string{root}}, nil
	}
	base, err := filepath.Abs(root)
	if err != nil {
		return Found{}, sourceError(op, root, err)
	}
	dir, err := os.Open(root)
	if err != nil {
		return Found{}, sourceError(op, root, err)
	}
	f := finder{ctx: ctx, root: root, base: base, exclude: opts.Exclude, progress: opts.Progress,
		seen: map[string]knownFile{}}
	if f.progress == nil {
		f.progress = func() {}
	}
	if opts.Cache != nil {
		f.known = opts.Cache.files
	}
	if err := f.search(dir, "."); err != nil {
		return Found{}, err
	}
	if opts.Cache != nil {
		opts.Cache.files = f.seen
	}
	slices.Sort(f.found.Databases)
	slices.SortFunc(f.found.Skipped, func(a, b Skipped) int { return cmp.Compare(a.Path, b.Path) })
	return f.found, nil
}

type finder struct {
	ctx        context.Context
	root, base string // the root as given, and its absolute path
	exclude    []string
	progress   func()
	found      Found
	known      map[string]knownFile // from the last search
	seen       map[string]knownFile // in this one
}

// search searches dir, whose path below the root is below, and closes it.
func (f *finder) search(dir *os.File, below string) error {
	defer dir.Close()
	entries, err := f.list(dir)
	if err != nil {
		f.skipError(below, err)
		return nil
	}
	var files, dirs []string
	for _, entry := range entries {
		name := path.Join(below, entry.Name())
		switch {
		case f.excluded(name):
			f.skip(name, SkipExcluded, nil)
		case entry.Type().IsRegular():
			files = append(files, entry.Name())
		case entry.Type()&fs.ModeSymlink != 0:
			f.skip(name, SkipSymlink, nil)
		case entry.IsDir() && strings.HasPrefix(entry.Name(), atomicfile.Prefix):
			f.skip(name, SkipPrivate, nil)
		case entry.IsDir():
			dirs = append(dirs, entry.Name())
		}
	}
	slices.Sort(files) // a database comes before its -wal, -shm and -journal
	for batch := range slices.Chunk(files, findBatch) {
		if err := context.Cause(f.ctx); err != nil {
			return err
		}
		f.examine(dir, below, batch)
	}
	for _, name := range dirs {
		if err := f.descend(dir, below, name); err != nil {
			return err
		}
	}
	return nil
}

// list reads a directory, which may be so large that it takes long.
func (f *finder) list(dir *os.File) (entries []fs.DirEntry, err error) {
	for err == nil {
		var some []fs.DirEntry
		some, err = dir.ReadDir(4 * findBatch)
		entries = append(entries, some...)
		f.progress()
	}
	if err == io.EOF {
		err = nil
	}
	return entries, err
}

func (f *finder) descend(parent *os.File, below, name string) error {
	if err := context.Cause(f.ctx); err != nil {
		return err
	}
	below = path.Join(below, name)
	fd, err := osfile.OpenDirBelow(parent, name)
	if err != nil {
		f.skipError(below, err)
		return nil
	}
	return f.search(os.NewFile(uintptr(fd), f.path(below)), below)
}

// excluded reports whether a pattern matches the entry with that path below the root.
func (f *finder) excluded(below string) bool {
	return slices.ContainsFunc(f.exclude, func(pattern string) bool {
		pattern = strings.TrimSuffix(pattern, "/")
		subject := below
		switch strings.IndexByte(pattern, '/') {
		case -1:
			subject = path.Base(below)
		case 0:
			subject = path.Join(f.base, below)
		}
		matched, _ := path.Match(pattern, subject)
		return matched
	})
}

func (f *finder) path(below string) string { return filepath.Join(f.root, below) }

func (f *finder) skip(below string, why SkipReason, err error) {
	f.found.Skipped = append(f.found.Skipped, Skipped{f.path(below), why, err})
}

// skipError skips an entry that could not be read, unless it no longer exists.
func (f *finder) skipError(below string, err error) {
	switch {
	case errors.Is(err, unix.ENOENT):
	case errors.Is(err, unix.EXDEV):
		f.skip(below, SkipMount, nil)
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENOTDIR):
		f.skip(below, SkipSymlink, nil) // it has become one since it was listed
	default:
		f.skip(below, SkipUnreadable, fmt.Errorf("open %s: %w", f.path(below), underlying(err)))
	}
}
