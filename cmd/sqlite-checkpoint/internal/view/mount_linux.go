package view

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Mount makes the view for this process, which Isolate has given a mount namespace, and for those
// that it starts from now on. It enters the working directory again, because the one that it was
// started in is the live one.
func Mount(v View) error {
	here, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the working directory: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mount namespace private: %w", err)
	}
	for _, d := range v.Directories {
		if err := d.mount(); err != nil {
			return fmt.Errorf("show %s: %w", d.Path, err)
		}
	}
	for _, dir := range v.Hide {
		if err := hide(dir); err != nil {
			return fmt.Errorf("hide %s: %w", dir, err)
		}
	}
	if err := os.Chdir(here); err != nil {
		return fmt.Errorf("enter the working directory again: %w", err)
	}
	return dropCapabilities()
}

// A mountPair is a live directory and the staged one that covers it, open as places in the tree:
// their paths no longer tell them apart.
type mountPair struct {
	live, staged *os.File
	bound        map[string]bool // names in staged that a live entry is, or was, shown under
}

func (d Directory) mount() error {
	live, err := openDirectory(d.Path)
	if err != nil {
		return err
	}
	defer live.Close()
	staged, err := cover(live, d)
	if err != nil {
		return err
	}
	defer staged.Close()
	m := mountPair{live: live, staged: staged, bound: map[string]bool{}}
	entries, err := os.ReadDir(path(live))
	if err != nil {
		return err
	}
	hidden := d.hidden(m.newcomers(d, entries))
	for _, entry := range entries {
		if hidden[entry.Name()] || private(entry.Name()) {
			continue
		}
		if err := m.show(entry.Name()); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(d.Path, entry.Name()), err)
		}
	}
	return m.finish(d)
}

// cover mounts the staged directory over the live one, by descriptor, and returns the mount's root.
// It finds the root by its path, where somebody may have put another directory meanwhile.
func cover(live *os.File, d Directory) (*os.File, error) {
	copies, err := openPlace(unix.AT_FDCWD, d.Staged)
	if err != nil {
		return nil, err
	}
	defer copies.Close()
	if err := unix.Mount(path(copies), path(live), "", unix.MS_BIND, ""); err != nil {
		return nil, fmt.Errorf("mount %s: %w", d.Staged, err)
	}
	root, err := openPlace(unix.AT_FDCWD, d.Path)
	if err != nil {
		return nil, err
	}
	if err := checkSame(root, copies); err != nil {
		root.Close()
		return nil, err
	}
	return root, nil
}

func checkSame(a, b *os.File) error {
	infoA, err := a.Stat()
	if err != nil {
		return err
	}
	infoB, err := b.Stat()
	if err == nil && !os.SameFile(infoA, infoB) {
		err = errors.New("it was replaced meanwhile")
	}
	return err
}

// newcomers returns the databases that have appeared since the copies were made.
func (m mountPair) newcomers(d Directory, entries []fs.DirEntry) (names []string) {
	known := d.hidden(nil)
	for _, name := range d.Live {
		known[name] = true
	}
	for _, entry := range entries {
		if entry.Type().IsRegular() && !known[entry.Name()] && isDatabase(m.live, entry.Name()) {
			names = append(names, entry.Name())
		}
	}
	return names
}

// show mounts one live entry, by descriptor: what was checked is what is mounted.
func (m mountPair) show(name string) error {
	live, err := openPlace(int(m.live.Fd()), name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer live.Close()
	info, err := live.Stat()
	if err != nil {
		return err
	}
	m.bound[name] = true
	point := filepath.Join(path(m.staged), name)
	if info.Mode()&fs.ModeSymlink != 0 {
		return copyLink(live, point)
	}
	if err := makePoint(point, info.IsDir()); err != nil {
		return err
	}
	err = unix.Mount(path(live), point, "", unix.MS_BIND|unix.MS_REC, "")
	if err == unix.ENOSPC {
		return fmt.Errorf("bind: more mounts than fs.mount-max allows: %w", err)
	}
	return err
}

// finish removes the mount points of entries that are gone, and gives the staged directory the live
// one's times.
func (m mountPair) finish(d Directory) error {
	for _, name := range d.Copies {
		m.bound[name] = true
	}
	entries, err := os.ReadDir(path(m.staged))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !m.bound[entry.Name()] {
			err := os.Remove(filepath.Join(path(m.staged), entry.Name()))
			if err != nil && !errors.Is(err, unix.ENOTEMPTY) { // it holds copies
				return err
			}
		}
	}
	var live, staged unix.Stat_t
	if err := errors.Join(unix.Fstat(int(m.live.Fd()), &live), unix.Fstat(int(m.staged.Fd()), &staged)); err != nil {
		return err
	}
	if live.Mtim == staged.Mtim {
		return nil
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, path(m.staged), []unix.Timespec{live.Atim, live.Mtim}, 0)
}

// hide mounts an empty file system on dir.
func hide(dir string) error {
	const flags = unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	return unix.Mount("none", dir, "tmpfs", flags, "mode=700,size=4k")
}

// openDirectory is openPlace for a directory. It does not follow a symbolic link anywhere on the
// path.
func openDirectory(name string) (*os.File, error) {
	dir, err := openPlace(unix.AT_FDCWD, "/")
	for part := range strings.SplitSeq(strings.Trim(name, "/"), "/") {
		if err != nil || part == "" {
			break
		}
		above := dir
		dir, err = openPlaceAs(unix.O_DIRECTORY, int(above.Fd()), part)
		above.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	return dir, nil
}

// openPlace opens a file with O_PATH, as a place in the tree that cannot be read. It does not
// follow a symbolic link.
func openPlace(dir int, name string) (*os.File, error) { return openPlaceAs(0, dir, name) }

func openPlaceAs(flags, dir int, name string) (*os.File, error) {
	fd, err := unix.Openat(dir, name, flags|unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// path returns a path to an open file that works whatever is mounted over its name.
func path(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }
