package stage

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Layout lists what belongs in a stage.
type Layout struct {
	Databases   []string // absolute paths
	Files       []string // likewise: what else Write will make
	Directories []string // likewise: those that are to be staged whether they hold databases or not
	// Points keeps the mount points in staged directories: views create and remove them.
	Points bool
}

// Prune removes what is not in the layout. It runs before Fill, so that nothing is in the way.
func (s *Stage) Prune(layout Layout) error {
	p := s.pruner(layout)
	p.remove = os.RemoveAll
	allowRemoval(s.dir)
	if err := p.prune(s.dir); err != nil {
		return failure("prune", s.dir, err)
	}
	return nil
}

// Strangers returns the live paths of what is not in the layout: Prune would remove it.
func (s *Stage) Strangers(layout Layout) (live []string, err error) {
	p := s.pruner(layout)
	p.remove = func(path string) error {
		live = append(live, strings.TrimPrefix(path, s.dir))
		return nil
	}
	if err := p.prune(s.dir); err != nil {
		return nil, failure("read", s.dir, err)
	}
	return live, nil
}

func (s *Stage) pruner(layout Layout) pruner {
	p := pruner{keep: map[string]kind{s.dir: ancestor, s.meta(): keepWhole}, points: layout.Points}
	for _, dir := range layout.Directories {
		p.add(s.dir, s.Path(dir), staged)
	}
	for _, file := range slices.Concat(layout.Databases, layout.Files) {
		p.add(s.dir, filepath.Dir(s.Path(file)), staged)
		p.keep[s.Path(file)] = keepFile
	}
	return p
}

// A kind says why an entry is kept.
type kind int

const (
	unwanted  kind = iota
	ancestor       // of what is kept
	staged         // a directory in which databases are
	keepFile       // a copy
	keepWhole      // ours
)

type pruner struct {
	keep   map[string]kind
	points bool
	remove func(path string) error
}

// add keeps a directory and those above it.
func (p pruner) add(root, dir string, as kind) {
	p.keep[dir] = max(p.keep[dir], as)
	for dir != root {
		dir = filepath.Dir(dir)
		p.keep[dir] = max(p.keep[dir], ancestor)
	}
}

func (p pruner) prune(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		switch as := p.keep[path]; {
		case as == keepWhole,
			as == keepFile && entry.Type().IsRegular(),
			as == unwanted && p.keep[dir] == staged && p.points && isPoint(path, entry):
		case entry.IsDir() && (as == ancestor || as == staged):
			err = p.prune(path)
		default:
			err = p.remove(path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// isPoint reports whether an entry may be one that a view has mounted on: it is empty.
func isPoint(path string, entry fs.DirEntry) bool {
	if entry.IsDir() {
		entries, err := os.ReadDir(path)
		return err == nil && len(entries) == 0
	}
	info, err := entry.Info()
	return err == nil && (info.Size() == 0 || info.Mode()&fs.ModeSymlink != 0)
}
