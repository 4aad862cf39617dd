package atomicfile

import (
	"errors"
	"sync"
)

// live are the private directories of this process.
var live = struct {
	sync.Mutex
	dirs    map[*Dir]bool
	removed bool // by RemoveAll: there must be no new ones
}{dirs: map[*Dir]bool{}}

var errRemoved = errors.New("the program is ending")

// RemoveAll removes every private directory of this process and keeps [NewDir] from creating more.
// It is for a program that has to end while goroutines still use the directories: it is safe for
// concurrent use, and what those goroutines do later fails, or leaves no file behind. Published
// files stay. RemoveAll waits for [Uninterrupted], and for a file system that hangs.
func RemoveAll() {
	live.Lock()
	defer live.Unlock()
	live.removed = true
	for d := range live.dirs {
		for range 3 { // SQLite may create a file between the last unlink and rmdir
			if d.remove() == nil {
				break
			}
		}
	}
}

// Uninterrupted calls f, which changes names that must change together, without a [RemoveAll] in
// between. f must be quick, and must neither create nor close a Dir.
func Uninterrupted(f func() error) error {
	live.Lock()
	defer live.Unlock()
	if live.removed {
		return errRemoved
	}
	return f()
}
