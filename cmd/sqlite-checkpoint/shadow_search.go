package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// search finds the databases.
func (s *shadowRun) search(ctx context.Context) error {
	s.con.progress.show("searching", 0, 0)
	found, skipped, err := s.find(ctx)
	if err != nil {
		return err
	}
	s.databases = found
	for _, entry := range skipped {
		s.note(entry)
		if entry.Reason == engine.SkipExcluded {
			dir, name := filepath.Split(entry.Path)
			s.live[filepath.Clean(dir)] = append(s.live[filepath.Clean(dir)], name)
		}
	}
	if len(found) == 0 {
		return noDatabase(strings.Join(s.Dirs, ", "))
	}
	return nil
}

// noDatabase is the error for directories without one.
func noDatabase(dirs string) error {
	return &fault{
		kind: engine.KindMissing, err: fmt.Errorf("search %s: no SQLite database", dirs),
		hint: findMount,
	}
}

// find lists the databases below all directories, and what was left out.
func (s *shadowRun) find(ctx context.Context) (databases []string, skipped []engine.Skipped, err error) {
	for _, root := range s.roots {
		found, err := engine.FindDatabases(ctx, root.path, engine.FindOptions{Exclude: s.Exclude})
		if err != nil {
			return nil, nil, err
		}
		databases = append(databases, found.Databases...)
		skipped = append(skipped, found.Skipped...)
	}
	slices.Sort(databases)
	return slices.Compact(databases), skipped, nil
}

// note reports what was left out, if it may hold databases.
func (s *shadowRun) note(entry engine.Skipped) {
	name := s.typed(entry.Path)
	if slices.ContainsFunc(s.roots, func(root shadowRoot) bool { return root.path == entry.Path }) {
		return // a DIR of its own
	}
	switch entry.Reason {
	case engine.SkipExcluded:
		s.con.note(name + ": excluded, CMD sees it as it is")
	case engine.SkipMount:
		s.con.warn(name + ": another file system was not searched; name it as a DIR of its own if it holds databases")
	case engine.SkipSymlink:
		noteLink(s.con, name, entry.Path, s.paths())
	case engine.SkipUnreadable, engine.SkipInProcess:
		s.con.warn(fmt.Sprintf("%s: not searched: %v", name, cmp.Or(entry.Err, errors.New(string(entry.Reason)))))
	}
}

func (s *shadowRun) paths() (paths []string) {
	for _, root := range s.roots {
		paths = append(paths, root.path)
	}
	return paths
}

// noteLink reports a symbolic link that leads to a directory or a database outside the directories
// searched. These are absolute, without symbolic links.
func noteLink(con *console, name, link string, searched []string) {
	target, err := engine.Resolve(link)
	if err != nil || slices.ContainsFunc(searched, func(dir string) bool { return inside(target, dir) }) {
		return
	}
	info, err := os.Stat(target)
	if err == nil && (info.IsDir() || info.Mode().IsRegular() && beginsWith(target, databaseMagic)) {
		con.note(fmt.Sprintf("%s: a symbolic link to %s was not followed", name, target))
	}
}

// inside reports whether a clean path is dir or below it.
func inside(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// typed returns an absolute path as the user would type it.
func (s *shadowRun) typed(path string) string {
	best := shadowRoot{}
	for _, root := range s.roots {
		if inside(path, root.path) && len(root.path) > len(best.path) {
			best = root
		}
	}
	return filepath.Join(best.typed, strings.TrimPrefix(path, best.path))
}

// appeared searches again after CMD: CMD has seen a new database itself, unless it is in a
// directory that was shown as it was at the start.
func (s *shadowRun) appeared(ctx context.Context) error {
	found, _, err := s.find(ctx)
	if err != nil {
		return err
	}
	var seen []string
	for _, database := range found {
		if _, known := slices.BinarySearch(s.databases, database); known {
			continue
		}
		if s.shown(database) {
			seen = append(seen, s.typed(database)+": CMD saw it in use, unverified")
		} else {
			s.con.note(s.typed(database) + ": created meanwhile, CMD did not see it")
		}
	}
	if len(seen) == 0 {
		return nil
	}
	return &fault{
		kind: kindAppeared, findings: seen,
		err: fmt.Errorf("shadow %s: databases appeared while CMD ran: %d", strings.Join(s.Dirs, " "), len(seen)),
	}
}

// shown reports whether CMD could see a database that is not one of s.databases: its directory was
// not staged, or the view was given a place to mount it on.
func (s *shadowRun) shown(database string) bool {
	if _, staged := slices.BinarySearch(s.directories(), filepath.Dir(database)); s.bare || !staged {
		return true
	}
	_, err := os.Lstat(s.stage.Path(database))
	return err == nil
}
