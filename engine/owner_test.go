//go:build linux

package engine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// somebody is a user ID that owns nothing.
const somebody = 12345

// give makes somebody the owner of files, and returns the first.
func give(t testing.TB, paths ...string) string {
	t.Helper()
	for _, path := range paths {
		if err := os.Chown(path, somebody, somebody); err != nil {
			t.Fatal(err)
		}
	}
	return paths[0]
}

// TestIdentity: root accesses a database with the identity of its owner.
func TestIdentity(t *testing.T) {
	testkit.NeedsRoot(t)
	db := newRollback(t)
	dir, mine := filepath.Dir(db), filepath.Join(t.TempDir(), "mine")
	give(t, db, dir)
	writeFile(t, mine, []byte("secret"))
	who := openForTest(t, db).owner
	if who == nil {
		t.Fatal("root is nobody else")
	}
	new := filepath.Join(dir, "new")
	if err := who.Do(func() error { return os.WriteFile(new, nil, 0o600) }); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(new); err != nil || ownerID(info) != somebody {
		t.Errorf("a new file belongs to %d, %v", ownerID(info), err)
	}
	for name, f := range map[string]func() error{
		"open for writing": func() error { f, err := os.OpenFile(mine, os.O_RDWR, 0); f.Close(); return err },
		"give away":        func() error { return os.Chown(mine, somebody, somebody) },
		"make elsewhere":   func() error { return os.WriteFile(mine+"2", nil, 0o600) },
	} {
		if err := who.Do(f); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := who.Do(func() error { _, err := os.ReadFile(mine); return err }); err != nil {
		t.Error("root can no longer read what it could:", err)
	}
	if err := os.WriteFile(mine, nil, 0o600); err != nil {
		t.Error("the identity outlasts its use:", err)
	}
}

// TestForeignFiles: a file beside a database that is not its application's is neither read nor
// given away.
func TestForeignFiles(t *testing.T) {
	testkit.NeedsRoot(t)
	t.Parallel()
	kinds := map[string]func(t *testing.T, path string){
		"root's":        func(t *testing.T, path string) { writeFile(t, path, []byte("root's own file")) },
		"symbolic link": func(t *testing.T, path string) { os.Symlink(give(t, in(t, "theirs")), path) },
		"hard link":     func(t *testing.T, path string) { os.Link(give(t, in(t, "theirs")), path) },
	}
	for name, put := range kinds {
		for _, suffix := range auxSuffixes {
			t.Run(name+" "+suffix, func(t *testing.T) {
				t.Parallel()
				db := newWAL(t)
				give(t, db, filepath.Dir(db))
				put(t, db+suffix)
				before := testkit.TakePicture(t, filepath.Dir(db))
				_, _, err := snapshot(t, db, SnapshotOptions{BusyTimeout: brief})
				wantKind(t, err, KindForeignFile)
				_, err = Checkpoint(t.Context(), db, CheckpointOptions{BusyTimeout: brief})
				wantKind(t, err, KindForeignFile)
				before.MustMatch(t, filepath.Dir(db))
			})
		}
	}
}

// TestSharedFiles: whoever may write to a database may own a file beside it.
func TestSharedFiles(t *testing.T) {
	testkit.NeedsRoot(t)
	for mode, foreign := range map[os.FileMode]bool{0o600: true, 0o644: true, 0o660: false, 0o606: false} {
		db := newWAL(t)
		give(t, db)
		must(t, os.Chmod(db, mode))
		writeFile(t, db+"-wal", nil)
		must(t, os.Chown(db+"-wal", somebody+1, somebody))
		if err := openForTest(t, db).checkAuxFiles(); errors.Is(err, KindForeignFile) != foreign {
			t.Errorf("mode %v: %v", mode, err)
		}
	}
}

// in makes a file in a directory of its own.
func in(t *testing.T, name string) string {
	path := filepath.Join(t.TempDir(), name)
	writeFile(t, path, []byte("some content"))
	return path
}
