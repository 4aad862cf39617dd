package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/stage"
	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/view"
	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// openStage opens the stage, kept or not.
func (s *shadowRun) openStage() (err error) {
	if s.Stage == "" {
		return s.makeStage()
	}
	dir, err := filepath.Abs(s.Stage)
	if err != nil {
		return fileFault(err)
	}
	parent := resolved(filepath.Dir(dir))
	dir = filepath.Join(parent, filepath.Base(dir))
	for _, root := range s.roots {
		if inside(dir, root.path) || inside(root.path, dir) {
			return usagef("--stage %s and %s must not contain one another", s.Stage, root.typed)
		}
	}
	if os.Geteuid() == 0 && !trusted(parent) {
		return &fault{
			kind: engine.KindForeignFile, err: fmt.Errorf("use the stage %s: other users may rename it", s.Stage),
			hint: "choose a --stage above which only root may write, such as /var/lib/backup-stage",
		}
	}
	if s.stage, err = stage.Open(dir); err != nil {
		return err
	}
	if err := s.checkDevice(dir); err != nil {
		s.stage.Close()
		return err
	}
	return nil
}

// resolved returns the absolute path dir without symbolic links. Its end may not exist yet.
func resolved(dir string) string {
	if real, err := filepath.EvalSymlinks(dir); err == nil || dir == "/" {
		return real
	}
	return filepath.Join(resolved(filepath.Dir(dir)), filepath.Base(dir))
}

// closeStage closes the stage, and warns of what it could not remove.
func (s *shadowRun) closeStage() {
	if err := s.stage.Close(); err != nil {
		s.con.warn(err.Error())
	}
}

// makeStage creates a private stage, if possible on the file system of the directories.
func (s *shadowRun) makeStage() (err error) {
	places := s.places()
	if len(places) == 0 {
		return usagef("no directory to put the copies into: name one with --stage")
	}
	best := places[0]
	if i := slices.IndexFunc(places, func(place string) bool { return s.elsewhere(place) == "" }); i >= 0 {
		best = places[i]
	}
	if err := s.checkDevice(best); err != nil {
		return err
	}
	s.stage, err = stage.Temporary(best)
	return err
}

// places returns the directories that a stage could be created in, the best first: above a
// directory on its file system, then the usual ones for state and temporary files.
func (s *shadowRun) places() (places []string) {
	for _, root := range s.roots {
		device, _ := deviceOf(root.path)
		for dir := filepath.Dir(root.path); dir != "/"; dir = filepath.Dir(dir) {
			if other, ok := deviceOf(dir); ok && other == device {
				places = append(places, dir)
			}
		}
	}
	places = append(places, os.Getenv("STATE_DIRECTORY"), "/var/lib/sqlite-checkpoint",
		os.Getenv("SQLITE_TMPDIR"), os.Getenv("TMPDIR"), "/var/tmp", "/tmp")
	return slices.DeleteFunc(places, func(place string) bool {
		below := slices.ContainsFunc(s.roots, func(root shadowRoot) bool { return inside(place, root.path) })
		return below || !filepath.IsAbs(place) || unix.Access(place, unix.W_OK|unix.X_OK) != nil || !trusted(place)
	})
}

// trusted reports whether only this user and root can rename entries of the directory, or create
// it.
func trusted(dir string) bool {
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return false
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		ours := ok && (stat.Uid == 0 || int(stat.Uid) == os.Geteuid())
		if !ours || info.Mode().Perm()&0o022 != 0 && info.Mode()&os.ModeSticky == 0 {
			return false
		}
		if dir == "/" {
			return true
		}
	}
}

// elsewhere returns a directory with databases that is not on the file system of place, or "".
func (s *shadowRun) elsewhere(place string) string {
	device, ok := deviceOf(place)
	for _, dir := range s.directories() {
		if other, found := deviceOf(dir); !ok || !found || other != device {
			return dir
		}
	}
	return ""
}

func deviceOf(path string) (uint64, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return uint64(stat.Dev), ok
}

// oneFileSystem are flags that keep a program on the file system that it begins on.
var oneFileSystem = []string{"-x", "--one-file-system", "--xdev"}

// checkDevice refuses flags with which CMD would skip the files beside a database: a staged
// directory is on the stage's file system, and the live files mounted in it are on another.
func (s *shadowRun) checkDevice(place string) error {
	dir := s.elsewhere(place)
	if s.bare || dir == "" {
		return nil
	}
	apart := fmt.Sprintf("%s and the stage in %s are on different file systems", s.typed(dir), place)
	for _, arg := range s.argv[1:] {
		if slices.Contains(oneFileSystem, arg) {
			return &fault{
				kind: kindUsage, err: fmt.Errorf("%s would leave out files: %s", arg, apart),
				hint: "leave out " + arg + ", or choose a --stage on the file system of " + s.typed(dir),
			}
		}
	}
	s.con.note(apart + ": CMD must not be told to stay on one file system")
	return nil
}

// copy brings the stage up to date.
func (s *shadowRun) copy(ctx context.Context) (err error) {
	if err := s.stage.Prune(s.layout()); err != nil {
		return err
	}
	s.copies, err = s.stage.Fill(ctx, s.databases, stage.Options{
		Jobs:     s.Jobs.orDefault(),
		Take:     s.con.takeSnapshot,
		Snapshot: engine.SnapshotOptions{Check: s.Check, BusyTimeout: engineTimeout(s.BusyTimeout)},
		Progress: func(done, total int64) { s.con.progress.show("copying", done, total) },
	})
	if err != nil {
		return err
	}
	for _, c := range s.copies {
		for _, warning := range c.Info.Warnings {
			s.con.warn(warning)
		}
		if c.Info.Reason != "" {
			s.con.warn(fmt.Sprintf("%s: check %s only: %s", s.typed(c.Source), c.Info.Level, c.Info.Reason))
		}
	}
	return s.stage.Save(s.copies)
}

// layout lists what belongs in the stage.
func (s *shadowRun) layout() stage.Layout {
	layout := stage.Layout{Databases: s.databases, Points: !s.bare}
	for _, root := range s.manifests() {
		layout.Files = append(layout.Files, filepath.Join(root.path, manifestName))
	}
	return layout
}

// directories returns the live directories that are staged: those with a database or a manifest.
func (s *shadowRun) directories() (dirs []string) {
	for _, database := range s.databases {
		dirs = append(dirs, filepath.Dir(database))
	}
	for _, root := range s.manifests() {
		dirs = append(dirs, root.path)
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// manifests returns the directories that get a manifest.
func (s *shadowRun) manifests() []shadowRoot {
	if s.NoManifest {
		return nil
	}
	return s.roots
}

// arrange adds everything but the databases to the stage, and lists what to mount.
func (s *shadowRun) arrange() error {
	if err := s.writeManifests(); err != nil {
		return err
	}
	if s.bare {
		if err := s.writeExclude(); err != nil {
			return err
		}
	}
	directories := s.directories()
	if err := s.stage.Directories(directories); err != nil {
		return err
	}
	mounts := map[string]*view.Directory{}
	for _, dir := range directories {
		mounts[dir] = &view.Directory{Path: dir, Staged: s.stage.Path(dir), Live: s.live[dir]}
	}
	for _, c := range s.copies {
		d, name := mounts[filepath.Dir(c.Source)], filepath.Base(c.Source)
		if c.Err != nil {
			d.Absent = append(d.Absent, name)
		} else {
			d.Copies = append(d.Copies, name)
		}
	}
	for _, root := range s.manifests() {
		mounts[root.path].Copies = append(mounts[root.path].Copies, manifestName)
	}
	s.noteMounts(directories)
	s.view.Hide = []string{s.stage.Dir()}
	for _, dir := range directories {
		s.view.Directories = append(s.view.Directories, *mounts[dir])
	}
	return nil
}

// manyMounts is half of what the kernel allows by default.
const manyMounts = 50_000

// noteMounts warns of a view that the kernel may refuse, or be slow with: each entry beside a
// database takes a mount.
func (s *shadowRun) noteMounts(directories []string) {
	count := 0
	for _, dir := range directories {
		if entries, err := os.ReadDir(dir); err == nil && !s.bare { // it does not wait for a FIFO
			count += len(entries)
		}
	}
	if count > manyMounts {
		s.con.warn(fmt.Sprintf("%d entries beside databases need a mount each: that takes time, and fs.mount-max "+
			"limits it", count))
	}
}
