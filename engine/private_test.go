//go:build linux

package engine

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// openFile opens a file until the test ends.
func openFile(t testing.TB, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// swaps give the name of a private file to something else.
var swaps = map[string]func(t *testing.T, name, victim string){
	"symlink": func(t *testing.T, name, victim string) { must(t, os.Symlink(victim, name)) },
	"hard link": func(t *testing.T, name, victim string) {
		for _, suffix := range []string{"", "-wal"} {
			if _, err := os.Stat(victim + suffix); err == nil {
				must(t, os.Link(victim+suffix, name+suffix))
			}
		}
	},
	"file": func(t *testing.T, name, _ string) { writeFile(t, name, nil) },
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestSwappedImage: the name of the private file leads to something else when SQLite opens it.
// Nothing is written there, and nothing from there is trusted.
func TestSwappedImage(t *testing.T) {
	for _, swap := range swaps {
		for _, victim := range []string{newRollback(t), newWAL(t), crashed(t, "-wal"), crashed(t, "-journal")} {
			p := pinned(t, newRollback(t))
			name := filepath.Join(t.TempDir(), "image.db")
			ours, err := os.Create(name)
			must(t, err)
			defer ours.Close()
			must(t, os.Rename(name, name+".moved"))
			swap(t, name, victim)
			before := testkit.TakePicture(t, filepath.Dir(victim)) // after a link has changed its count
			_, err = copyPages(context.Background(), p, ours, SnapshotOptions{})
			wantKind(t, err, KindTemp)
			for _, check := range []Check{CheckAuto, CheckFull} {
				_, _, err = checkImage(context.Background(), ours, "app.db", check, nil)
				wantKind(t, err, KindTemp)
			}
			before.MustMatch(t, filepath.Dir(victim))
		}
	}
}

// TestSwappedForFIFO: SQLite would wait for the other end.
func TestSwappedForFIFO(t *testing.T) {
	name := filepath.Join(t.TempDir(), imageName)
	ours, err := os.Create(name)
	must(t, err)
	defer ours.Close()
	must(t, os.Rename(name, name+".moved"))
	must(t, mkfifo(name))
	_, _, err = checkImage(context.Background(), ours, "app.db", CheckAuto, nil)
	wantKind(t, err, KindTemp)
}

// TestSwappedWAL: the -wal beside a private copy of the source is not the one that was copied.
func TestSwappedWAL(t *testing.T) {
	db := crashed(t, "-wal")
	main, wal := openFile(t, db), openFile(t, db+"-wal")
	c, err := openPrivate(main, []*os.File{wal}, "mode=rw", "_locking_mode=EXCLUSIVE")
	must(t, err)
	if _, err := os.Lstat(db + "-shm"); !os.IsNotExist(err) {
		t.Error("it made an -shm, for which nobody looks")
	}
	must(t, c.Close())

	db = crashed(t, "-wal")
	main, wal = openFile(t, db), openFile(t, db+"-wal")
	data, err := os.ReadFile(db + "-wal")
	must(t, err)
	must(t, os.Remove(db+"-wal"))
	writeFile(t, db+"-wal", data)
	if _, err := openPrivate(main, []*os.File{wal}, "mode=rw", "_locking_mode=EXCLUSIVE"); !errors.Is(err, errSwapped) {
		t.Error(err)
	}
}

// TestSwappedSource: SQLite opens another file than the one that was looked at.
func TestSwappedSource(t *testing.T) {
	db, other := newRollback(t), newRollback(t)
	s, err := openSource("open", db)
	must(t, err)
	defer s.Close()
	must(t, unix.Renameat2(unix.AT_FDCWD, db, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE))
	if _, err := s.connect(nil, "mode=ro"); !errors.Is(err, errReplaced) {
		t.Error(err)
	}
}

// TestInstallSwapped: somebody replaces the private directory of a restore by another one.
func TestInstallSwapped(t *testing.T) {
	b, dir, victim := image(t), t.TempDir(), newWAL(t)
	before := testkit.TakePicture(t, filepath.Dir(victim))
	source := bytes.NewReader(b)
	r := readerFunc(func(p []byte) (int, error) {
		if source.Len() == len(b) {
			found, _ := filepath.Glob(filepath.Join(dir, ".sqlite-checkpoint-*"))
			must(t, os.Rename(found[0], filepath.Join(dir, "moved")))
			must(t, os.Mkdir(found[0], 0o777))
			must(t, os.Symlink(victim, filepath.Join(found[0], imageName)))
		}
		return source.Read(p)
	})
	_, err := Install(context.Background(), r, filepath.Join(dir, "new.db"), InstallOptions{})
	wantKind(t, err, KindTemp)
	before.MustMatch(t, filepath.Dir(victim))
	if got := baseNames(t, filepath.Join(dir, "moved")); got != "" {
		t.Errorf("left %s", got)
	}
}
