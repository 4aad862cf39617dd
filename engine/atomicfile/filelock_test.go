//go:build unix

package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
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
