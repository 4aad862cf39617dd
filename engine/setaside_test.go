package engine

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// TestInstallSetAside: the old database moves with its WAL, and stays a database.
func TestInstallSetAside(t *testing.T) {
	testkit.NeedsRoot(t)
	b := image(t)
	db := crashed(t, "-wal", "-shm")
	os.Chmod(db, 0o640)
	os.Chown(db, 1000, 1001)
	aside := filepath.Join(filepath.Dir(db), "aside.db")
	did, err := Install(context.Background(), bytes.NewReader(b), db, InstallOptions{SetAside: aside})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(did.Moved, " "); got != aside+" "+aside+"-wal "+aside+"-shm" {
		t.Errorf("moved %s", got)
	}
	if onDisk, _ := os.ReadFile(db); !bytes.Equal(onDisk, b) {
		t.Error("not the new database")
	}
	info, _ := os.Stat(db)
	if owner := ownerOf(info); info.Mode().Perm() != 0o640 || *owner != (Owner{1000, 1001}) {
		t.Errorf("mode %v, owner %v", info.Mode(), owner)
	}
	for _, suffix := range auxSuffixes {
		if _, err := os.Lstat(db + suffix); !os.IsNotExist(err) {
			t.Errorf("%s is still there", suffix)
		}
	}
	if got := sqlite(t, aside, "PRAGMA integrity_check; SELECT count(*) FROM t;"); got != "ok\n600" {
		t.Errorf("what was set aside says %q", got)
	}
}

// TestInstallSetAsideInUse: an idle connection is enough, even in rollback mode, where it holds no
// lock.
func TestInstallSetAsideInUse(t *testing.T) {
	b := image(t)
	for _, make := range []func(testing.TB) string{newRollback, newWAL} {
		db := make(t)
		open(t, db, "SELECT count(*) FROM t;")
		before := testkit.TakePicture(t, filepath.Dir(db))
		_, err := Install(context.Background(), bytes.NewReader(b), db, InstallOptions{SetAside: db + ".old"})
		wantKind(t, err, KindBusy)
		before.MustMatch(t, filepath.Dir(db))
	}
}

// TestInstallSetAsideLate: a process opens the old database while the new one is received.
func TestInstallSetAsideLate(t *testing.T) {
	b := image(t)
	db := newRollback(t)
	before := sqlite(t, db, "SELECT count(*) FROM t;")
	r := io.MultiReader(bytes.NewReader(b), readerFunc(func([]byte) (int, error) {
		open(t, db, "SELECT count(*) FROM t;")
		return 0, io.EOF
	}))
	_, err := Install(context.Background(), r, db, InstallOptions{SetAside: db + ".old"})
	wantKind(t, err, KindBusy)
	if names, _ := os.ReadDir(filepath.Dir(db)); len(names) != 1 || sqlite(t, db, "SELECT count(*) FROM t;") != before {
		t.Errorf("changed: %v", names)
	}
}

func TestInstallSetAsideFails(t *testing.T) {
	broken := errors.New("broken")
	db := newWAL(t)
	before := testkit.TakePicture(t, filepath.Dir(db))
	delete(before, ".") // its time changes with the private directory
	_, err := Install(context.Background(), iotest.ErrReader(broken), db, InstallOptions{SetAside: db + ".old"})
	if !errors.Is(err, broken) {
		t.Error(err)
	}
	after := testkit.TakePicture(t, filepath.Dir(db))
	delete(after, ".")
	if diff := before.Diff(after); diff != "" {
		t.Error(diff)
	}
	writeFile(t, db+".old-wal", nil)
	_, err = Install(context.Background(), bytes.NewReader(image(t)), db, InstallOptions{SetAside: db + ".old"})
	wantKind(t, err, KindExists)
}

// TestInstallSetAsideNames: what can be set aside, and where.
func TestInstallSetAsideNames(t *testing.T) {
	b := image(t)
	for _, c := range []struct {
		name, aside string
		make        func(dst string) error
		want        Kind
	}{
		{"nothing", "old.db", func(string) error { return nil }, ""},
		{"elsewhere", "dir/old.db", func(dst string) error { return os.WriteFile(dst, b, 0o600) }, KindInternal},
		{"a directory", "old.db", func(dst string) error { return os.Mkdir(dst, 0o700) }, KindExists},
		{"a link", "old.db", func(dst string) error { return os.Symlink("real.db", dst) }, KindExists},
		{"a log alone", "old.db", func(dst string) error { return os.WriteFile(dst+"-wal", b, 0o600) }, KindExists},
	} {
		dir := t.TempDir()
		dst := filepath.Join(dir, "app.db")
		os.Mkdir(filepath.Join(dir, "dir"), 0o700)
		if err := c.make(dst); err != nil {
			t.Fatal(err)
		}
		did, err := Install(t.Context(), bytes.NewReader(b), dst, InstallOptions{SetAside: filepath.Join(dir, c.aside)})
		if c.want != "" {
			wantKind(t, err, c.want)
		} else if err != nil || len(did.Moved) > 0 {
			t.Errorf("%s: %v, moved %v", c.name, err, did.Moved)
		}
	}
}

// TestInstallSetAsideMode: the mode and the owner that are asked for go before those of the old
// file.
func TestInstallSetAsideMode(t *testing.T) {
	testkit.NeedsRoot(t)
	db := newRollback(t)
	os.Chmod(db, 0o640)
	for i, opts := range []InstallOptions{{Owner: &Owner{1002, 1003}}, {Mode: 0o604, Owner: &Owner{1000, 1001}}} {
		want := cmp.Or(opts.Mode, 0o640)
		opts.SetAside = fmt.Sprintf("%s.%d", db, i)
		if _, err := Install(t.Context(), bytes.NewReader(image(t)), db, opts); err != nil {
			t.Fatal(err)
		}
		info, _ := os.Stat(db)
		if owner := ownerOf(info); info.Mode().Perm() != want || *owner != *opts.Owner {
			t.Errorf("mode %v, owner %v", info.Mode(), owner)
		}
	}
}

func TestInstallOwnerAndMode(t *testing.T) {
	testkit.NeedsRoot(t)
	dst := filepath.Join(t.TempDir(), "new.db")
	_, err := Install(context.Background(), bytes.NewReader(image(t)), dst, InstallOptions{Mode: 0o660,
		Owner: &Owner{1000, 1001}})
	if err != nil {
		t.Fatal(err)
	}
	info, _ := os.Stat(dst)
	if owner := ownerOf(info); info.Mode().Perm() != 0o660 || *owner != (Owner{1000, 1001}) {
		t.Errorf("mode %v, owner %v", info.Mode(), owner)
	}
}

// TestLeaseOnFUSE: where another machine or container may have a file open, nothing can prove that
// none has.
func TestLeaseOnFUSE(t *testing.T) {
	const inside = "SQLITE_CHECKPOINT_TEST_FUSE"
	if db := os.Getenv(inside); db != "" {
		_, err := takeLease(placeOf(t, db), db)
		wantKind(t, err, KindBusy)
		if !strings.Contains(fmt.Sprint(err), "on fuse a process elsewhere may") {
			t.Errorf("%v", err)
		}
		return
	}
	testkit.NeedsRoot(t)
	real, through := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(real, "app.db"), image(t))
	if held, err := takeLease(placeOf(t, filepath.Join(real, "app.db")), filepath.Join(real, "app.db")); err != nil {
		t.Fatalf("without FUSE: %v", err)
	} else {
		held.Close()
	}
	onFUSE(t, real, through, inside+"="+filepath.Join(through, "app.db"))
}

// placeOf opens the directory of a database.
func placeOf(t *testing.T, db string) *atomicfile.Place {
	t.Helper()
	place, err := openPlaceOf(db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { place.Close() })
	return place
}
