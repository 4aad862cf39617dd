package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/watch"
	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// openState reads the state, which no other watch uses until the lock is closed.
func (cmd *watchCmd) openState(con *console, paths []string) (lock *os.File, past watch.State, err error) {
	if cmd.State == "" {
		return nil, past, nil
	}
	if err := cmd.checkState(paths); err != nil {
		return nil, past, err
	}
	if lock, err = cmd.lockState(); err != nil {
		return nil, past, err
	}
	past, err = cmd.readState(lock, con)
	return lock, past, err
}

// checkState fails if the state cannot be in a file of that name.
func (cmd *watchCmd) checkState(paths []string) error {
	for _, path := range paths {
		if belongsTo(cmd.State, path) {
			return usagef("--state %s: the name belongs to %s", cmd.State, path)
		}
	}
	info, err := os.Stat(filepath.Dir(cmd.State))
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && !info.IsDir():
		err := fmt.Errorf("--state %s: its directory does not exist", cmd.State)
		return &fault{kind: kindUsage, err: err, hint: createDir}
	case err != nil:
		return usagef("--state %s: %w", cmd.State, cause(err))
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

// stateLimit is far more than the state of a million databases takes.
const stateLimit = 1 << 30

// readState reads the state file, which is lock if that is not nil. A damaged one counts as empty:
// that causes extra runs, and misses none.
func (cmd *watchCmd) readState(lock *os.File, con *console) (past watch.State, err error) {
	data, foreign, err := cmd.stateBytes(lock)
	if errors.Is(err, fs.ErrNotExist) {
		return past, nil
	}
	if err == nil && !foreign {
		past, err = watch.Decode(data)
	}
	switch {
	case errors.Is(err, watch.ErrNotState):
		return past, &fault{kind: engine.KindExists, err: fmt.Errorf("--state %s: %w", cmd.State, err)}
	case foreign:
		con.warn(cmd.State + ": the state file belongs to another user: every database counts as changed")
	case errors.Is(err, watch.ErrDamaged):
		con.warn(fmt.Sprintf("%s: %v: every database counts as changed", cmd.State, err))
	case err != nil:
		return past, fileFault(fmt.Errorf("read state %s: %w", cmd.State, cause(err)))
	}
	return past, nil
}

// stateBytes returns the contents of the state file. What another user has made, in a directory
// that is not that user's, is foreign: it could say that everything has been done.
func (cmd *watchCmd) stateBytes(lock *os.File) (data []byte, foreign bool, err error) {
	dir, name, err := atomicfile.OpenPlaceOf(cmd.State)
	if err != nil {
		return nil, false, err
	}
	defer dir.Close()
	f := lock
	if f == nil {
		if f, err = dir.Open(name); err != nil {
			return nil, false, err
		}
		defer f.Close()
	}
	info, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	if !info.Mode().IsRegular() || info.Size() > stateLimit {
		return nil, false, watch.ErrNotState
	}
	parent, err := dir.Lstat(".")
	owner := ownerOf(info)
	foreign = err == nil && owner != 0 && owner != uint32(os.Geteuid()) && owner != ownerOf(parent)
	data, err = io.ReadAll(f)
	return data, foreign, err
}

func ownerOf(info fs.FileInfo) uint32 { return info.Sys().(*syscall.Stat_t).Uid }

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
