package engine

import (
	"runtime"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

const (
	// lookInterval is how often the names of files are looked at while SQLite opens them.
	lookInterval = 10 * time.Millisecond
	// firstRestart is when a slow open(2) is first restarted. The time doubles, so that a server
	// that gives up what is interrupted has enough of it.
	firstRestart = 100 * time.Millisecond
)

// withoutFIFOs calls f, in which SQLite opens the database name and the files beside it. Where
// somebody has put a FIFO in the place of one, SQLite waits for its other end: withoutFIFOs opens
// that, and if f then fails, returns swapped. A FIFO that no longer has the name keeps SQLite
// waiting until the call is restarted, which looks the name up again.
func withoutFIFOs(name string, swapped error, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread := osfile.CurrentThread()
	found := false
	ended, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for begin, restart := time.Now(), firstRestart; ; {
			select {
			case <-ended:
				return
			case <-time.After(lookInterval):
			}
			for _, suffix := range databaseSuffixes {
				found = osfile.ReleaseFIFO(name+suffix) || found
			}
			if time.Since(begin) > restart {
				thread.RestartCall()
				restart *= 2
			}
		}
	}()
	err := f()
	close(ended)
	<-over // it may have a descriptor of the file, which would count as another user of it
	if err != nil && found {
		return swapped
	}
	return err
}
