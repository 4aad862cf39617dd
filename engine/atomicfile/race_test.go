//go:build unix

package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// TestNameIsNotTheDirectory: somebody who may write to the parent has given the directory's name to
// another one. All work continues in the directory that was created, and the other one does not
// change.
func TestNameIsNotTheDirectory(t *testing.T) {
	parent := t.TempDir()
	d, err := NewDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(parent, "moved")
	must(t, os.Rename(d.Path(), moved))
	must(t, os.Mkdir(d.Path(), 0o700))
	theirs := filepath.Join(d.Path(), contentName)
	must(t, os.WriteFile(theirs, []byte("theirs"), 0o600))
	f, err := d.Create(contentName)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString("ours")
	f.Close()
	must(t, d.Publish(contentName, "new"))
	if got, _ := os.ReadFile(filepath.Join(parent, "new")); string(got) != "ours" {
		t.Errorf("published %q", got)
	}
	must(t, d.Close())
	if got, _ := os.ReadFile(theirs); string(got) != "theirs" {
		t.Errorf("what is in the other directory says %q", got)
	}
	if names(t, moved) != "" {
		t.Errorf("left %s", names(t, moved))
	}
}

// TestOpenDirReplaced: between mkdir and lock, another user's directory or something else takes the
// name.
func TestOpenDirReplaced(t *testing.T) {
	testkit.NeedsRoot(t)
	parent := open(t, t.TempDir())
	path := filepath.Join(parent.Path(), "private")
	for what, make := range map[string]func(){
		"nothing":   func() {},
		"a file":    func() { os.WriteFile(path, nil, 0o600) },
		"a symlink": func() { os.Symlink(".", path) },
	} {
		os.Remove(path)
		make()
		if d, err := openDir(parent, "private"); !lostRace(err) {
			t.Errorf("%s: %v, %v", what, d, err)
		}
	}
	os.Remove(path)
	for _, c := range []struct {
		uid  int
		mode os.FileMode
		ok   bool
	}{{0, 0o700, true}, {65534, 0o700, false}, {0, 0o770, false}, {0, 0o707, false}} {
		must(t, os.Mkdir(path, 0o700))
		os.Chmod(path, c.mode)
		os.Chown(path, c.uid, -1)
		d, err := openDir(parent, "private")
		must(t, err)
		if err := d.checkPrivate(); c.ok != (err == nil) || !c.ok && !errors.Is(err, errReplaced) {
			t.Errorf("uid %d, mode %v: %v", c.uid, c.mode, err)
		}
		if names(t, path) != "" {
			t.Errorf("left %s", names(t, path))
		}
		d.dir.Close()
		os.Remove(path)
	}
}

// TestNewDirBesideSweeps: a sweep takes a new directory for an abandoned one until it is locked.
// NewDir must never return one that is gone.
func TestNewDirBesideSweeps(t *testing.T) {
	dir := t.TempDir()
	var sweeps sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		sweeps.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					Sweep(dir)
				}
			}
		})
	}
	for range 300 {
		d, err := NewDir(dir)
		if err != nil {
			t.Error(err)
			break
		}
		f, err := d.Create(contentName)
		if err != nil || d.checkName() != nil {
			t.Errorf("it was swept: %v", err)
			break
		}
		f.Close()
		must(t, d.Close())
	}
	close(stop)
	sweeps.Wait()
	Sweep(dir)
	if names(t, dir) != "" {
		t.Errorf("left %s", names(t, dir))
	}
}

// TestSweepUnshared: where locks may not be shared, only age shows that a directory is abandoned.
func TestSweepUnshared(t *testing.T) {
	for _, c := range []struct {
		network bool
		age     time.Duration
		want    bool
	}{{false, 0, true}, {true, 0, false}, {true, 23 * time.Hour, false}, {true, 25 * time.Hour, true}} {
		if got := oldEnough(time.Now().Add(-c.age), c.network); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// TestRemoveAll removes the process's private directories while goroutines still use them.
func TestRemoveAll(t *testing.T) {
	defer func() { live.removed = false }()
	dir := t.TempDir()
	d, err := NewDir(dir)
	must(t, err)
	f, err := Create(filepath.Join(dir, "new"))
	must(t, err)
	working := make(chan struct{})
	var worker sync.WaitGroup
	worker.Go(func() {
		for first := true; ; first = false {
			file, err := d.Create("source.db")
			if err != nil {
				return
			}
			file.Close()
			d.Remove("source.db")
			if first {
				close(working)
			}
		}
	})
	<-working
	RemoveAll()
	worker.Wait()
	if got := strings.ReplaceAll(names(t, dir), f.dir.name, ""); got != "" {
		t.Errorf("left %s", got)
	}
	if err := f.Commit(); err == nil || names(t, dir) != "" {
		t.Errorf("committed: %v, %s", err, names(t, dir))
	}
	if _, err := NewDir(dir); !errors.Is(err, errRemoved) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a new directory: %v", err)
	}
	if _, err := d.Create("source.db"); !errors.Is(err, errRemoved) {
		t.Errorf("a new file: %v", err)
	}
	if err := Uninterrupted(func() error { return nil }); !errors.Is(err, errRemoved) {
		t.Errorf("a change of names: %v", err)
	}
	must(t, d.Close())
	must(t, f.Close())
}

// TestForgotten: RemoveAll has nothing to do with a directory that was closed or never made.
func TestForgotten(t *testing.T) {
	parent := open(t, t.TempDir())
	d, err := parent.NewDir()
	must(t, err)
	must(t, d.Close())
	must(t, os.Remove(parent.Path()))
	if _, err := parent.NewDir(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory in one that was removed: %v", err)
	}
	if len(live.dirs) != 0 {
		t.Errorf("%d directories are still known", len(live.dirs))
	}
}

// TestRemoveFails: only a file that is not there counts as removed.
func TestRemoveFails(t *testing.T) {
	d, err := NewDir(t.TempDir())
	must(t, err)
	must(t, d.Remove(contentName))
	nested := filepath.Join(d.Path(), contentName)
	must(t, os.Mkdir(nested, 0o700))
	if err := d.Remove(contentName); err == nil {
		t.Error("a directory was removed as a file")
	}
	must(t, os.Remove(nested))
	must(t, d.Close())
}
