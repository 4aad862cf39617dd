package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/watch"
	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// openState reads the state, which no other watch uses until the lock is closed.
func (cmd *watchCmd) openState(con *console) (lock *os.File, past watch.State, err error) {
	if cmd.State == "" {
		return nil, past, nil
	}
	if err := cmd.checkState(); err != nil {
		return nil, past, err
	}
	if lock, err = cmd.lockState(); err != nil {
		return nil, past, err
	}
	past, err = cmd.readState(con)
	return lock, past, err
}

// checkState fails if the state cannot be in a file of that name.
func (cmd *watchCmd) checkState() error {
	for _, path := range cmd.Paths {
		if belongsTo(cmd.State, path) {
			return usagef("--state %s: the name belongs to %s", cmd.State, path)
		}
	}
	if info, err := os.Stat(filepath.Dir(cmd.State)); err != nil || !info.IsDir() {
		return usagef("--state %s: its directory does not exist", cmd.State)
	}
	return nil
}

// lockState fails if another watch uses the state: both would run CMD for the same commits. Where
// there are no locks, or none may be taken, it returns nil.
func (cmd *watchCmd) lockState() (*os.File, error) {
	lock, err := atomicfile.LockFile(cmd.State, 0o600)
	if errors.Is(err, atomicfile.ErrLocked) {
		err := fmt.Errorf("--state %s: another watch uses it", cmd.State)
		return nil, &fault{kind: engine.KindBusy, err: err, hint: "let that one finish, or name another file"}
	}
	return lock, nil // reading and saving report what is wrong with the file
}

// readState reads the state file. A damaged one counts as empty: that causes extra runs, and misses
// none.
func (cmd *watchCmd) readState(con *console) (watch.State, error) {
	data, err := os.ReadFile(cmd.State)
	if errors.Is(err, fs.ErrNotExist) {
		return watch.State{}, nil
	}
	if err != nil {
		return watch.State{}, fileFault(fmt.Errorf("read state %s: %w", cmd.State, cause(err)))
	}
	state, err := watch.Decode(data)
	switch {
	case errors.Is(err, watch.ErrNotState):
		return state, &fault{kind: engine.KindExists, err: fmt.Errorf("--state %s: %w", cmd.State, err)}
	case err != nil:
		con.warn(fmt.Sprintf("%s: %v: every database counts as changed", cmd.State, err))
	}
	return state, nil
}

// saveEvery bounds how often the state and the metrics are saved: each time costs a write of all of
// them.
const saveEvery = time.Second

// save writes the state if it has changed, and not too often unless it is the last time.
func (w *watcher) save(now time.Time, last bool) {
	if !w.dirty || !last && now.Before(w.saveAt) {
		return
	}
	w.dirty = false
	if w.State != "" {
		if err := w.saveState(); err != nil {
			w.sayOnce("state", fmt.Sprintf("write state %s: %v", w.State, cause(err)))
			w.dirty = !last
		}
	}
	if w.Metrics != "" {
		if err := w.saveMetrics(); err != nil {
			w.sayOnce("metrics", fmt.Sprintf("write metrics %s: %v", w.Metrics, cause(err)))
			w.dirty = !last
		}
	}
	took := time.Since(now)
	w.saveAt = now.Add(max(saveEvery, 20*took))
}

func (w *watcher) saveState() error {
	lock, err := atomicfile.ReplaceLocked(w.State, w.schedule.State().Encode(), 0o600)
	if err != nil {
		return err
	}
	w.lock.Close()
	w.lock = lock
	delete(w.said, "state")
	return nil
}
