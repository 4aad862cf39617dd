package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/watch"
	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// A watchFinder finds the databases to watch, again and again.
type watchFinder struct {
	paths   []*watchPath
	exclude []string
	shard   watch.Shard
	unique  bool // no two databases may have the same name
	once    bool // it searches only once
}

func newWatchFinder(cmd *watchCmd, shard watch.Shard) *watchFinder {
	unique := slices.ContainsFunc(cmd.Command, func(arg string) bool { return strings.Contains(arg, nameMark) })
	var paths []*watchPath
	for _, path := range cmd.Paths {
		if whole, err := filepath.Abs(path); err == nil {
			path = whole
		}
		paths = append(paths, &watchPath{path: path})
	}
	return &watchFinder{paths, cmd.Exclude, shard, unique, cmd.Once}
}

// A lookResult is what a look has found.
type lookResult struct {
	tokens   map[string]engine.Token
	names    map[string]string // {name} of each path
	problems []problem
	unseen   map[string]bool // paths where the problems are: databases there, or below, may be missing
	notes    []problem
}

func newLookResult() lookResult {
	return lookResult{tokens: map[string]engine.Token{}, names: map[string]string{}, unseen: map[string]bool{}}
}

// hidden reports whether a database of that path may exist although it was not found.
func (s *lookResult) hidden(path string) bool {
	for ; !s.unseen[path]; path = filepath.Dir(path) {
		if path == filepath.Dir(path) {
			return false
		}
	}
	return true
}

// A problem is something to say once.
type problem struct{ key, text string }

// look finds all databases and takes their tokens.
func (f *watchFinder) look(ctx context.Context) (lookResult, error) {
	results, errs := make([]lookResult, len(f.paths)), make([]error, len(f.paths))
	f.each(func(i int, p *watchPath) { results[i], errs[i] = f.lookAt(ctx, p) })
	s := newLookResult()
	for i, result := range results {
		if errs[i] != nil {
			return s, errs[i]
		}
		s.merge(result)
	}
	if f.unique {
		s.dropSharedNames()
	}
	return s, nil
}

// lookAt finds the databases of one PATH.
func (f *watchFinder) lookAt(ctx context.Context, p *watchPath) (lookResult, error) {
	found, hidden := newLookResult(), newLookResult()
	err := p.call(ctx, func(ctx context.Context, progress func()) error {
		return found.search(ctx, f, p, progress)
	})
	switch {
	case ctx.Err() != nil:
		return hidden, context.Cause(ctx)
	case errors.Is(err, atomicfile.ErrHangs): // and still writes to found
		hidden.problem(p.path, err)
		return hidden, nil
	}
	return found, err
}

func (s *lookResult) search(ctx context.Context, f *watchFinder, p *watchPath, progress func()) error {
	options := engine.FindOptions{Exclude: f.exclude, Cache: &p.cache, Progress: progress}
	found, err := engine.FindDatabases(ctx, p.path, options)
	if ctx.Err() != nil || errors.Is(err, engine.KindPattern) {
		return err
	}
	if err != nil {
		s.problem(p.path, err)
		return nil
	}
	s.skipped(p.path, found.Skipped)
	if f.once && len(found.Databases) == 0 { // its file system may not be mounted
		s.problem(p.path, noDatabase(p.path))
	}
	var copies []string
	for _, path := range found.Databases {
		progress()
		if path != p.path && isFinishedCopy(path) {
			copies = append(copies, path)
			continue
		}
		s.add(f, p.path, path)
	}
	s.leftOut(p.path, copies)
	return nil
}

// merge adds what a look at another PATH has found.
func (s *lookResult) merge(other lookResult) {
	for path, token := range other.tokens {
		if _, twice := s.tokens[path]; !twice {
			s.tokens[path], s.names[path] = token, other.names[path]
		}
	}
	maps.Copy(s.unseen, other.unseen)
	s.problems = append(s.problems, other.problems...)
	s.notes = append(s.notes, other.notes...)
}

func (s *lookResult) problem(path string, err error) {
	s.problems = append(s.problems, problem{path, err.Error()})
	s.unseen[path] = true
}

// skipped reports what was not searched. There may be many links and mounts, so only the first is
// named.
func (s *lookResult) skipped(root string, skipped []engine.Skipped) {
	first, count := map[engine.SkipReason]string{}, map[engine.SkipReason]int{}
	for _, entry := range skipped {
		if entry.Reason == engine.SkipUnreadable {
			s.problem(entry.Path, entry.Err)
			continue
		}
		if count[entry.Reason]++; count[entry.Reason] == 1 {
			first[entry.Reason] = entry.Path
		}
	}
	kinds := map[engine.SkipReason]string{engine.SkipSymlink: "symbolic link", engine.SkipMount: "mount"}
	for reason, what := range kinds {
		if n := count[reason]; n > 0 {
			text := fmt.Sprintf("%s: %s not searched, such as %s: to watch what is there, make it a PATH",
				root, plural(n, what+" is", what+"s are"), first[reason])
			s.notes = append(s.notes, problem{string(reason) + root, text})
		}
	}
}

// add takes the token of a database that is this worker's.
func (s *lookResult) add(f *watchFinder, root, path string) {
	if !f.shard.Has(path) {
		return
	}
	token, err := engine.TakeToken(path)
	switch {
	case errors.Is(err, engine.KindMissing) && path != root:
		return // removed since it was found
	case err != nil:
		s.problem(path, err)
		return
	}
	if doubt := doubts[token.Doubt()]; doubt != "" {
		text := fmt.Sprintf("%s: it counts as changed at every look, because %s", path, doubt)
		s.notes = append(s.notes, problem{string(token.Doubt()), text})
	}
	s.tokens[path] = token
	s.names[path] = nameBelow(root, path)
}

// leftOut reports copies that are not watched.
func (s *lookResult) leftOut(root string, copies []string) {
	if len(copies) == 0 {
		return
	}
	text := fmt.Sprintf("%s: %s not watched, such as %s: make copies elsewhere, or leave them out with --exclude",
		root, plural(len(copies), "copy with a .sha256 is", "copies with a .sha256 are"), copies[0])
	s.notes = append(s.notes, problem{"copies " + root, text})
}

// isFinishedCopy reports whether the database is a copy that was not used since backup made it: it
// has a .sha256 that is newer, and no -wal, -shm or -journal. If CMD ran for copies that it makes
// below PATH, it would have to run for the copies of these, too, without end.
func isFinishedCopy(path string) bool {
	digest, err := os.Lstat(path + ".sha256")
	if err != nil || !digest.Mode().IsRegular() {
		return false
	}
	for _, beside := range engine.DatabaseFiles(path)[1:] {
		if _, err := os.Lstat(beside); !errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	database, err := os.Lstat(path)
	return err == nil && database.Mode().IsRegular() && !database.ModTime().After(digest.ModTime())
}

// doubts say why a token is of no use, except one that only has to wait.
var doubts = map[engine.Doubt]string{
	engine.DoubtFilesystem: "stat(2) cannot be relied on where it lives",
	engine.DoubtHardLinks:  "it has several names, and an application that uses another one has its -wal there",
	engine.DoubtBoot:       "the system does not say when it was booted",
}

// nameBelow is the path below root in one word, or the base name if root is the database itself.
func nameBelow(root, path string) string {
	below, err := filepath.Rel(root, path)
	if err != nil || below == "." {
		below = filepath.Base(path)
	}
	return strings.ReplaceAll(below, "/", "-")
}

// dropSharedNames leaves out databases that would share a {name}: one would be copied over the
// other.
func (s *lookResult) dropSharedNames() {
	paths := map[string][]string{}
	for path, name := range s.names {
		paths[name] = append(paths[name], path)
	}
	for name, sharing := range paths {
		if len(sharing) < 2 {
			continue
		}
		slices.Sort(sharing)
		for _, path := range sharing {
			delete(s.tokens, path)
			s.problem(path, fmt.Errorf("%s: not watched, because %s is %s for %d databases, such as %s: use %s",
				path, nameMark, name, len(sharing), sharing[0], dbMark))
		}
	}
}
