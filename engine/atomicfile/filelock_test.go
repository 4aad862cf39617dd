//go:build unix

package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// TestLockFile: the lock stays when the file is replaced, and its end is seen.
func TestLockFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	mustBeLocked := func(when string) {
		t.Helper()
		if f, err := LockFile(path, 0o600); !errors.Is(err, ErrLocked) {
			f.Close()
			t.Errorf("%s it is not locked: %v", when, err)
		}
	}
	first, err := LockFile(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	mustBeLocked("before it is replaced")
	second, err := ReplaceLocked(path, []byte("text"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	mustBeLocked("after that")
	if data, err := os.ReadFile(path); string(data) != "text" {
		t.Errorf("it has %q, %v", data, err)
	}
	second.Close()
	again, err := LockFile(path, 0o600)
	if err != nil {
		t.Fatalf("the lock is closed, but %v", err)
	}
	again.Close()
}

// TestLockFileBesideReplace: whoever opens the file before it is replaced, and locks it after that,
// does not have the lock. In memory a file is replaced quickly enough for that to happen.
func TestLockFileBesideReplace(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "")
	if err != nil {
		t.Skip(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "state")
	held, err := LockFile(path, 0o600)
	must(t, err)
	var others sync.WaitGroup
	for range 4 {
		others.Go(func() {
			for begin := time.Now(); time.Since(begin) < time.Second; {
				if f, err := LockFile(path, 0o600); !errors.Is(err, ErrLocked) {
					t.Errorf("two have the lock: %v", err)
					f.Close()
					return
				}
			}
		})
	}
	for begin := time.Now(); time.Since(begin) < time.Second+time.Second/4; {
		next, err := ReplaceLocked(path, nil, 0o600)
		must(t, err)
		held.Close()
		held = next
	}
	others.Wait()
	held.Close()
}
