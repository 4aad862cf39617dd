package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// TestWatchSave: the state is locked from the first save to the last, and is written when something
// has changed, but not too often.
func TestWatchSave(t *testing.T) {
	w, c := running(t)
	w.watchCmd.State, w.Metrics = filepath.Join(t.TempDir(), "state"), ""
	lock, err := w.lockState()
	if err != nil {
		t.Fatal(err)
	}
	w.lock = lock
	defer func() { w.lock.Close() }()
	w.schedule.End(c.job, time.Now(), 5)
	size := func() int64 {
		t.Helper()
		if again, err := atomicfile.LockFile(w.State, 0o600); !errors.Is(err, atomicfile.ErrLocked) {
			again.Close()
			t.Fatalf("another watch has locked the state: %v", err)
		}
		info, err := os.Stat(w.State)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	now := time.Now()
	if w.save(now, false); size() != 0 {
		t.Error("saved although nothing has changed")
	}
	w.dirty = true
	if w.save(now, false); size() == 0 || w.dirty {
		t.Errorf("%d bytes were saved, dirty %v", size(), w.dirty)
	}
	first := size()
	w.schedule.End(c.job, time.Now(), 143)
	w.dirty = true
	if w.save(now.Add(saveEvery/2), false); size() != first || !w.dirty {
		t.Error("saved again at once")
	}
	if w.save(now.Add(saveEvery/2), true); size() == first || w.dirty {
		t.Error("not saved at the end")
	}
	w.dirty = true
	if w.save(w.saveAt, false); w.dirty {
		t.Error("not saved when it was time")
	}
}

// TestWatchCannotSave: a state or metrics that cannot be written are reported once, and tried
// again.
func TestWatchCannotSave(t *testing.T) {
	for _, what := range []string{"state", "metrics"} {
		w, _ := running(t)
		none := filepath.Join(t.TempDir(), "none", "m.prom")
		w.Metrics = ""
		if what == "state" {
			w.watchCmd.State = none
		} else {
			w.Metrics = none
		}
		_, said := captured(t, func(con *console) {
			w.con = con
			for range 2 {
				w.dirty = true
				if w.save(w.saveAt, false); !w.dirty {
					t.Errorf("%s: not tried again", what)
				}
			}
			if w.save(w.saveAt, true); w.dirty {
				t.Errorf("%s: something is left to save at the end", what)
			}
		})
		want := "sqlite-checkpoint: warning: write " + what + " " + none + ": no such file or directory\n"
		if said != want {
			t.Errorf("%s: %q, want %q", what, said, want)
		}
	}
}
