package main

import (
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// TestReplacedCopyIsNotProven: a copy that was replaced since it was listed is not proven, even if
// it is whole.
func TestReplacedCopyIsNotProven(t *testing.T) {
	const name = "app-20261123T101500Z.db"
	dir := t.TempDir()
	image := make([]byte, 512)
	copy(image, "SQLite format 3\x00\x02\x00\x01\x01\x00\x40\x20\x20\x00\x00\x00\x01\x00\x00\x00\x01")
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(name, image)
	write(name+".sha256", []byte(stream.FormatSidecar(sha256.Sum256(image), name)))
	place, err := openCopyDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer place.Close()
	found, err := readCopyDir(place, "")
	if err != nil || len(found.copies) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	c := found.copies[0]
	if c.prove(t.Context(), io.Discard); !c.proven {
		t.Fatal(c.problem)
	}
	c.proven = false
	write("other", image)
	if err := os.Rename(filepath.Join(dir, "other"), filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
	if c.prove(t.Context(), io.Discard); c.proven || !strings.Contains(c.problem.Error(), "changed since") {
		t.Errorf("proven: %v, %v", c.proven, c.problem)
	}
}

// TestPruneWhileTheNewestChanges: nothing is removed unless the newest copy is still the proven
// one.
func TestPruneWhileTheNewestChanges(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"app-20261122T101500Z.db", "app-20261123T101500Z.db"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	place, err := openCopyDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer place.Close()
	found, err := readCopyDir(place, "")
	if err != nil {
		t.Fatal(err)
	}
	old, newest := found.copies[0], found.copies[1]
	if err := os.WriteFile(newest.path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := pruneResult{Databases: []prunedDatabase{{newest: newest, doomed: []*datedCopy{old}}}}
	if err := r.apply(found); err != nil || r.Removed > 0 || old.gone() {
		t.Errorf("%v, %d removed", err, r.Removed)
	}
}
