package osfile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// TestMayRead: a user may read a file by a path if both lead there, and this path to that file.
func TestMayRead(t *testing.T) {
	testkit.NeedsRoot(t)
	const uid = 12345
	dir := t.TempDir()
	write := func(name string, mode os.FileMode) (string, os.FileInfo) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return path, info
	}
	public, publicInfo := write("public", 0o644)
	private, privateInfo := write("private", 0o600)
	if MayRead(uid, public, publicInfo) {
		t.Error("a file in a directory that the user may not enter")
	}
	for _, above := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(above, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if !MayRead(uid, public, publicInfo) {
		t.Error("not a file for everybody")
	}
	if MayRead(uid, private, privateInfo) {
		t.Error("a private file")
	}
	if MayRead(uid, public, privateInfo) {
		t.Error("a private file, by the path of another one")
	}
}
