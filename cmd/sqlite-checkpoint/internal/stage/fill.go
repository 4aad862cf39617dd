package stage

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// Options are the options of Fill.
type Options struct {
	// Jobs is how many databases are copied at the same time.
	Jobs int
	// Snapshot says how. Its Destination and Progress are not used.
	Snapshot engine.SnapshotOptions
	// Take takes a snapshot; nil means engine.TakeSnapshot.
	Take func(ctx context.Context, source string, opts engine.SnapshotOptions) (*engine.Snapshot, error)
	// Progress, if not nil, is called with bytes, from several goroutines.
	Progress func(done, total int64)
}

// A Copy is the outcome for a database.
type Copy struct {
	Source    string // absolute
	Info      engine.Info
	SHA256    []byte
	Moment    time.Time // of which it is a copy
	Modified  time.Time // the newest time of the database and its -wal then
	Unchanged bool      // since the copy that a stage had kept was made
	Err       error     // why there is none; everything else is then empty

	token []byte
	check engine.Check
}

// Fill copies the databases sources, which are absolute paths. The names of one file get one copy.
func (s *Stage) Fill(ctx context.Context, sources []string, opts Options) ([]Copy, error) {
	f := filler{stage: s, opts: opts, copies: make([]Copy, len(sources))}
	files := f.group(sources)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range max(opts.Jobs, 1) {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(files) {
					return
				}
				f.fill(ctx, i, files[i])
			}
		})
	}
	workers.Wait()
	return f.copies, context.Cause(ctx)
}

// A file is a database with all its names.
type file struct {
	names []int // indexes of the sources
	size  int64
}

type filler struct {
	stage  *Stage
	opts   Options
	copies []Copy
	total  int64
	done   atomic.Int64
}

// group finds the names that lead to one file. The name that has a -wal or -journal comes first:
// it is the one that the application uses.
func (f *filler) group(sources []string) []file {
	type inode struct{ dev, ino uint64 }
	seen := map[inode]int{}
	var files []file
	for i, source := range sources {
		f.copies[i].Source = source
		info, err := os.Lstat(source)
		if err != nil {
			files = append(files, file{names: []int{i}})
			continue
		}
		f.total += info.Size()
		stat := info.Sys().(*syscall.Stat_t)
		key := inode{uint64(stat.Dev), stat.Ino}
		at, known := seen[key]
		switch {
		case !known:
			seen[key] = len(files)
			files = append(files, file{names: []int{i}, size: info.Size()})
		case inUse(source) && !inUse(sources[files[at].names[0]]):
			files[at].names = slices.Insert(files[at].names, 0, i)
		default:
			files[at].names = append(files[at].names, i)
		}
	}
	// The largest first: otherwise it could be copied alone at the end.
	slices.SortStableFunc(files, func(a, b file) int { return cmp.Compare(b.size, a.size) })
	return files
}

func inUse(database string) bool {
	for _, suffix := range []string{"-wal", "-journal"} {
		if info, err := os.Lstat(database + suffix); err == nil && info.Size() > 0 {
			return true
		}
	}
	return false
}

// fill makes the copy of one file under all its names.
func (f *filler) fill(ctx context.Context, number int, file file) {
	first := &f.copies[file.names[0]]
	*first = f.refresh(ctx, number, first.Source)
	for _, i := range file.names[1:] {
		source := f.copies[i].Source
		f.copies[i] = *first
		f.copies[i].Source = source
		if first.Err == nil {
			f.copies[i].Err = f.stage.link(first.Source, source)
		}
	}
	f.progress(f.done.Add(file.size*int64(len(file.names))), 0)
}

func (f *filler) progress(done, more int64) {
	if f.opts.Progress != nil {
		f.opts.Progress(min(done+more, f.total), f.total)
	}
}

// refresh copies a database, unless the stage has an up-to-date copy of it. The token is taken
// first: what is committed while the database is copied counts as a change.
func (f *filler) refresh(ctx context.Context, number int, source string) Copy {
	token, err := engine.TakeToken(source)
	if err != nil {
		return Copy{Source: source, Err: err}
	}
	check := f.opts.Snapshot.Check
	if c, ok := f.stage.kept(source, token, check); ok {
		return c
	}
	c := f.copy(ctx, number, source)
	if c.Err == nil {
		c.check = check
		c.token, c.Err = token.MarshalText()
	}
	return c
}

// copy takes a snapshot of one database, and puts it in its place.
func (f *filler) copy(ctx context.Context, number int, source string) Copy {
	c := Copy{Source: source, Moment: time.Now()}
	temporary := filepath.Join(f.stage.meta(), fmt.Sprintf("%d.db", number))
	opts := f.opts.Snapshot
	opts.Destination = temporary
	copying := false
	opts.Progress = func(p engine.Progress) {
		if p.Phase != engine.PhaseCopy {
			return
		}
		if !copying { // the read transaction has begun
			copying, c.Moment = true, time.Now()
		}
		f.progress(f.done.Load(), p.Done)
	}
	like, err := os.Lstat(source)
	if err != nil {
		return Copy{Source: source, Err: failure("look at", source, err)}
	}
	c.Modified = newest(like, source+"-wal")
	take := f.opts.Take
	if take == nil {
		take = engine.TakeSnapshot
	}
	snap, err := take(ctx, source, opts)
	if err != nil {
		return Copy{Source: source, Err: err}
	}
	defer snap.Close()
	digest, err := snap.SHA256()
	if err != nil {
		return Copy{Source: source, Err: err}
	}
	if err := snap.Commit(); err != nil {
		return Copy{Source: source, Err: err}
	}
	if err := f.stage.place(temporary, source, c.Modified); err != nil {
		os.Remove(temporary)
		return Copy{Source: source, Err: err}
	}
	c.Info, c.SHA256 = snap.Info(), digest[:]
	return c
}

// newest returns the time of the last commit: a commit to the -wal does not change that of the main
// file.
func newest(database fs.FileInfo, wal string) time.Time {
	modified := database.ModTime()
	if info, err := os.Lstat(wal); err == nil && info.ModTime().After(modified) {
		return info.ModTime()
	}
	return modified
}

// place gives a finished copy the attributes of its source and its name in the stage, in place of
// an older copy.
func (s *Stage) place(temporary, source string, modified time.Time) error {
	if err := copyAttributes(source, temporary); err != nil {
		return failure("copy the attributes of", source, err)
	}
	if err := os.Chtimes(temporary, modified, modified); err != nil {
		return failure("set the times of", temporary, err)
	}
	target := s.Path(source)
	if err := makeDir(filepath.Dir(target)); err != nil {
		return failure("create", filepath.Dir(target), err)
	}
	if err := os.Rename(temporary, target); err != nil {
		return failure("create", target, err)
	}
	return nil
}

// link gives the copy of the database first a second name.
func (s *Stage) link(first, second string) error {
	from, to := s.Path(first), s.Path(second)
	if err := makeDir(filepath.Dir(to)); err != nil {
		return failure("create", filepath.Dir(to), err)
	}
	if err := os.Remove(to); err != nil && !os.IsNotExist(err) {
		return failure("replace", to, err)
	}
	if err := os.Link(from, to); err != nil {
		return failure("create", to, err)
	}
	return nil
}

// makeDir creates a directory of the stage, writable for this user.
func makeDir(path string) error {
	if unix.Access(path, unix.W_OK|unix.X_OK) == nil {
		return nil
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return os.Chmod(path, 0o700)
}
