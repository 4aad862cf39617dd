package osfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func openTwice(t *testing.T) (a, b *os.File) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	for _, f := range []**os.File{&a, &b} {
		var err error
		if *f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { (*f).Close() })
	}
	return a, b
}

func TestLock(t *testing.T) {
	a, b := openTwice(t)
	if err := Lock(a, Exclusive, 10, 2); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []LockKind{Shared, Exclusive} {
		if err := Lock(b, kind, 11, 5); !errors.Is(err, ErrLocked) {
			t.Errorf("a lock over an exclusive one: %v", err)
		}
		if _, held, known := Conflict(b, kind, 11, 1); !held || !known {
			t.Errorf("an exclusive lock is not seen: held %v, known %v", held, known)
		}
	}
	if err := Lock(b, Exclusive, 12, 1); err != nil {
		t.Errorf("a lock beside another: %v", err)
	}
	Unlock(a, 10, 2)
	if err := Lock(a, Shared, 10, 1); err != nil {
		t.Fatal(err)
	}
	if err := Lock(b, Shared, 10, 1); err != nil {
		t.Errorf("two shared locks: %v", err)
	}
	if _, held, _ := Conflict(b, Shared, 10, 1); held {
		t.Error("a shared lock is said to conflict with another")
	}
	if _, held, _ := Conflict(b, Exclusive, 10, 1); !held {
		t.Error("a shared lock does not conflict with an exclusive one")
	}
}

func TestLease(t *testing.T) {
	a, b := openTwice(t)
	if _, err := TakeLease(a); !errors.Is(err, ErrOpenElsewhere) {
		t.Fatalf("a lease on a file that is open twice: %v", err)
	}
	lease, err := TakeLease(b) // the failure has closed the other one
	if err != nil {
		t.Fatal(err)
	}
	same, _ := os.Stat(b.Name())
	other, _ := os.Stat(os.DevNull)
	if lease.Broken() || !lease.Is(same) || lease.Is(other) {
		t.Error("an untouched lease is broken, or under another name")
	}
}

// TestLeaseBroken: whoever opens the file breaks the lease, even if only to read.
func TestLeaseBroken(t *testing.T) {
	for name, flags := range map[string]int{"reader": unix.O_RDONLY, "writer": unix.O_RDWR} {
		a, b := openTwice(t)
		b.Close()
		lease, err := TakeLease(a)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Open(a.Name(), flags|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err != unix.EWOULDBLOCK {
			t.Errorf("%s: %v, want %v", name, err, unix.EWOULDBLOCK)
		}
		if !lease.Broken() {
			t.Errorf("%s: the lease is not broken", name)
		}
	}
}
