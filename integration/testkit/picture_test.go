//go:build unix

package testkit

import (
	"os"
	"path/filepath"
	"testing"
)

func TestPicture(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := TakePicture(t, dir)
	before.MustMatch(t, dir)
	changes := []struct {
		name string
		do   func() error
	}{
		{"bytes with the old time", func() error {
			info, err := os.Stat(file)
			if err != nil {
				return err
			}
			if err := os.WriteFile(file, []byte("two"), 0o600); err != nil {
				return err
			}
			return os.Chtimes(file, info.ModTime(), info.ModTime())
		}},
		{"mode", func() error { return os.Chmod(file, 0o640) }},
		{"a file that came and went", func() error {
			if err := os.WriteFile(file+"-shm", nil, 0o600); err != nil {
				return err
			}
			return os.Remove(file + "-shm")
		}},
		{"a new name", func() error { return os.Symlink("file", filepath.Join(dir, "link")) }},
	}
	for _, change := range changes {
		if err := change.do(); err != nil {
			t.Fatal(err)
		}
		after := TakePicture(t, dir)
		if before.Diff(after) == "" {
			t.Errorf("not seen: %s", change.name)
		}
		before = after
	}
}
