package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// TestSidecar: the file appears when it is committed, and not before.
func TestSidecar(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db.sha256")
	for _, commit := range []bool{false, true} {
		s, err := createSidecar(path, "a.db", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(path); err == nil {
			t.Error("it has its name before it is complete")
		}
		if commit {
			if err := s.commit(stream.Digest{1}); err != nil {
				t.Fatal(err)
			}
		}
		s.Close()
		s.Close()
		content, _ := os.ReadFile(path)
		if want := map[bool]string{true: stream.FormatSidecar(stream.Digest{1},
			"a.db")}[commit]; string(content) != want {
			t.Errorf("it has %q, want %q", content, want)
		}
	}
	if _, err := createSidecar(path, "a.db", nil); classify(err).code != exitExists {
		t.Errorf("one that exists: %v", err)
	}
	var none *sidecar
	if none, err := createSidecar("", "a.db", nil); none != nil || err != nil {
		t.Errorf("%v, %v", none, err)
	}
	if none.commit(stream.Digest{}) != nil || none.Close() != nil {
		t.Error("none fails")
	}
}
