package atomicfile

import (
	"errors"
	"maps"
	"slices"
	"sync"
)

// live are the private directories of this process. Its lock is held for a moment only: a file
// system that hangs must not keep the directories elsewhere from being removed.
var live = struct {
	sync.Mutex
	dirs    map[*Dir]bool
	removed bool // by RemoveAll: there must be no new ones
}{dirs: map[*Dir]bool{}}

// together is held while names are changed that must change together.
var together sync.Mutex

var errRemoved = errors.New("the program is ending")

// checkLive fails with errRemoved after RemoveAll.
func checkLive() error {
	live.Lock()
	defer live.Unlock()
	if live.removed {
		return errRemoved
	}
	return nil
}

// register adds the directory, which is about to be made.
func (d *Dir) register() error {
	live.Lock()
	defer live.Unlock()
	if live.removed {
		return errRemoved
	}
	live.dirs[d] = true
	return nil
}

func (d *Dir) forget() {
	live.Lock()
	defer live.Unlock()
	delete(live.dirs, d)
}

// RemoveAll removes every private directory of this process and keeps [NewDir] from creating more.
// It is for a program that has to end while goroutines still use the directories: it is safe for
// concurrent use, and what those goroutines do later fails, or leaves no file behind. Published
// files stay. RemoveAll waits for [Uninterrupted], and for a file system that hangs, but removes
// what is elsewhere.
func RemoveAll() {
	live.Lock()
	live.removed = true
	dirs := slices.Collect(maps.Keys(live.dirs))
	live.Unlock()
	together.Lock()
	defer together.Unlock()
	var removals sync.WaitGroup
	for _, d := range dirs {
		removals.Go(d.removeNow)
	}
	removals.Wait()
}

func (d *Dir) removeNow() {
	d.making.Lock()
	defer d.making.Unlock()
	for range 3 { // SQLite may create a file between the last unlink and rmdir
		if d.dir == nil || d.remove() == nil {
			break
		}
	}
}

// Uninterrupted calls f, which changes names that must change together, without a [RemoveAll] in
// between. f must be quick, and must neither create nor close a Dir.
func Uninterrupted(f func() error) error {
	together.Lock()
	defer together.Unlock()
	if err := checkLive(); err != nil {
		return err
	}
	return f()
}
