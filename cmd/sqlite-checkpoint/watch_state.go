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

// readState reads the state file. A damaged one counts as empty: that causes extra runs, and misses
// none.
func (cmd *watchCmd) readState(con *console) (watch.State, error) {
	if cmd.State == "" {
		return watch.State{}, nil
	}
	for _, path := range cmd.Paths {
		if belongsTo(cmd.State, path) {
			return watch.State{}, usagef("--state %s: the name belongs to %s", cmd.State, path)
		}
	}
	if info, err := os.Stat(filepath.Dir(cmd.State)); err != nil || !info.IsDir() {
		return watch.State{}, usagef("--state %s: its directory does not exist", cmd.State)
	}
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
		if err := atomicfile.Replace(w.State, w.schedule.State().Encode(), 0o600); err != nil {
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
