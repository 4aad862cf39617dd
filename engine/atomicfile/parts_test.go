package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestParts: many files are synced, moved over others, and swept, unless they are not ours.
func TestParts(t *testing.T) {
	for name, count := range map[string]int64{"few": 3, "many": fewFiles + 10} {
		place, err := OpenPlace(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer place.Close()
		dir, err := place.NewDir()
		if err != nil {
			t.Fatal(err)
		}
		for n := range count {
			f, err := dir.Create(PartName(n))
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
		if err := dir.Sync(); err != nil {
			t.Errorf("%s: sync: %v", name, err)
		}
		if err := os.WriteFile(filepath.Join(place.Path(), "moved"), []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := dir.Move(PartName(1), place, "moved"); err != nil {
			t.Errorf("%s: move: %v", name, err)
		}
		dir.dir.Close() // as if killed
		dir.parent.Close()
		place.Sweep()
		if names, err := place.Names(); err != nil || len(names) != 1 {
			t.Errorf("%s: after the sweep there are %v, %v", name, names, err)
		}
		live.Lock()
		delete(live.dirs, dir)
		live.Unlock()
	}
}

// TestPartNames: no other name is taken for a part.
func TestPartNames(t *testing.T) {
	for name, want := range map[string]bool{
		PartName(0): true, PartName(1<<63 - 1): true, "part-0": false, "part-000000000000000A": false,
		"part-00000000000000001":   false,
		"part-000000000000000a.db": false, "part-": false, "": false,
	} {
		if isPart(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

// TestForeignFileIsNotSwept: a private directory with one file that is not ours is kept as a whole.
func TestForeignFileIsNotSwept(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, Prefix+"0123456789abcdef01234567")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{PartName(1), PartName(2), "mine"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	Sweep(parent)
	if names, err := os.ReadDir(dir); err != nil || len(names) != 3 {
		t.Errorf("%v are left, %v", names, err)
	}
}

// TestLock: only one process can hold the lock of a directory.
func TestLock(t *testing.T) {
	place, err := OpenPlace(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer place.Close()
	held, err := place.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := place.Lock(); !errors.Is(err, ErrLocked) {
		t.Errorf("a second lock: %v", err)
	}
	held.Close()
	if again, err := place.Lock(); err != nil {
		t.Errorf("after the release: %v", err)
	} else {
		again.Close()
	}
}
