package engine

import (
	"sync"

	"golang.org/x/sys/unix"
)

// opening is held while a file is opened and the process's descriptors are counted, as one step.
// Searches share it: one whose file system hangs must not stop the others.
var opening sync.RWMutex

// examining has a mutex for each device: two searches must not take each other's descriptors for
// those of an SQLite connection.
var examining sync.Map

// lockForSearch keeps the engine from opening a database, and other searches from opening a file of
// the device of dir, until unlock is called.
func lockForSearch(dir int) (unlock func()) {
	var stat unix.Stat_t
	unix.Fstat(dir, &stat) // where it fails, all else will
	mutex, _ := examining.LoadOrStore(stat.Dev, new(sync.Mutex))
	device := mutex.(*sync.Mutex)
	device.Lock()
	opening.RLock()
	return func() {
		opening.RUnlock()
		device.Unlock()
	}
}
