package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// otherDevice makes a directory on another file system than that of temporary directories.
func otherDevice(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "sqlite-checkpoint-test-")
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	here, _ := deviceOf(t.TempDir())
	if there, _ := deviceOf(dir); here == there {
		t.Skip("/dev/shm is on the file system of temporary directories")
	}
	return dir
}

// TestPlaces: a stage is made above DIR on its file system, else in the usual directories, and
// never below DIR.
func TestPlaces(t *testing.T) {
	testkit.NeedsRoot(t)
	top, other := t.TempDir(), otherDevice(t)
	state, app := filepath.Join(top, "state"), filepath.Join(top, "app", "data")
	for _, dir := range []string{state, app, filepath.Join(app, "tmp"), filepath.Join(other, "data")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("STATE_DIRECTORY", state)
	t.Setenv("SQLITE_TMPDIR", "relative")
	t.Setenv("TMPDIR", filepath.Join(app, "tmp"))
	t.Chdir(top)
	if err := os.Mkdir("relative", 0o700); err != nil {
		t.Fatal(err)
	}
	s := &shadowRun{roots: []shadowRoot{{"data", app}}}
	places := s.places()
	if len(places) < 2 || places[0] != filepath.Dir(app) || places[1] != top {
		t.Errorf("the first places are not above DIR: %q", places)
	}
	for place, want := range map[string]bool{
		state: true, "/var/tmp": true, "relative": false, "": false, "/": false, app: false,
		filepath.Join(app, "tmp"): false,
	} {
		if slices.Contains(places, place) != want {
			t.Errorf("%q is a place: %v", place, !want)
		}
	}
	s = &shadowRun{roots: []shadowRoot{{"data", filepath.Join(other, "data")}}}
	if places := s.places(); places[0] != other || slices.Contains(places, "/dev") {
		t.Errorf("above another file system: %q", places)
	}
}

// TestCheckDevice: a flag that keeps CMD on one file system is refused if the stage is on another.
func TestCheckDevice(t *testing.T) {
	top, other := t.TempDir(), otherDevice(t)
	for _, c := range []struct {
		argv  []string
		bare  bool
		place string
		fails bool
		notes int
	}{
		{[]string{"tar", "-x"}, false, other, true, 0},
		{[]string{"tar", "--one-file-system"}, false, other, true, 0},
		{[]string{"find", "--xdev"}, false, other, true, 0},
		{[]string{"-x"}, false, other, false, 1},
		{[]string{"tar", "-x"}, true, other, false, 0},
		{[]string{"tar", "-x"}, false, top, false, 0},
		{[]string{"tar", "-x"}, false, filepath.Join(top, "none"), true, 0},
	} {
		s := &shadowRun{shadowCmd: &shadowCmd{NoManifest: true}, argv: c.argv, bare: c.bare}
		s.roots, s.databases = []shadowRoot{{"data", top}}, []string{filepath.Join(top, "a.db")}
		var err error
		_, said := captured(t, func(con *console) {
			s.con = con
			err = s.checkDevice(c.place)
		})
		if (err != nil) != c.fails || strings.Count(said, "\n") != c.notes {
			t.Errorf("%+v: %v, %q", c, err, said)
		}
	}
	if got := resolved("/none/such"); got != "/none/such" || resolved("/") != "/" {
		t.Error(got)
	}
}
