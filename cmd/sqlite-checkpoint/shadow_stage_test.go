package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// TestStageOfOthers: root uses no stage that another user can rename: what is removed from it by
// path would then be removed elsewhere.
func TestStageOfOthers(t *testing.T) {
	testkit.NeedsRoot(t)
	top := t.TempDir()
	for name, mode := range map[string]os.FileMode{
		"ours": 0o755, "theirs": 0o755, "group": 0o775, "sticky": 0o777 | os.ModeSticky, "everybody": 0o777,
	} {
		dir := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(filepath.Join(top, "theirs"), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../theirs/sub", filepath.Join(top, "ours", "link")); err != nil {
		t.Fatal(err)
	}
	for place, want := range map[string]bool{
		"ours": true, "ours/sub": true, "ours/new/newer": true, "sticky": true, "sticky/sub": true,
		"theirs": false, "theirs/sub": false, "theirs/new": false, "group": false, "everybody/sub": false,
		"ours/link": false, "ours/link/new": false,
	} {
		s := &shadowRun{shadowCmd: &shadowCmd{Stage: filepath.Join(top, place, "stage")}}
		s.bare = true
		err := s.openStage()
		if want != (err == nil) || !want && classify(err).kind != engine.KindForeignFile {
			t.Errorf("%s: %v", place, err)
		}
		if _, made := os.Lstat(s.Stage); want != (made == nil) {
			t.Errorf("%s: stage: %v", place, made)
		}
		if err == nil {
			s.closeStage()
		}
	}
}
