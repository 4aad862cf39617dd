package engine

import (
	"context"
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// A file that cannot be read could be a database. The user ID for file access is the thread's.
func TestFindUnreadable(t *testing.T) {
	testkit.NeedsRoot(t)
	root := plant(t, header512, "dir/a.db", "b.db", "c.db")
	modes := map[string]os.FileMode{"dir": 0, "b.db": 0, "c.db": 0o644, ".": 0o755, "..": 0o755}
	for name, mode := range modes {
		if err := os.Chmod(filepath.Join(root, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getuid() == 0 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer unix.Setfsuid(0)
		if err := unix.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
	}
	databases, skipped := find(t, root)
	mustFind(t, databases, []string{"c.db"})
	mustFind(t, skipped, map[string]SkipReason{"dir": SkipUnreadable, "b.db": SkipUnreadable})
}

// Another process must stay locked out while this one holds a write lock on a database that the
// search comes across.
func TestFindKeepsLocks(t *testing.T) {
	app := newRollback(t)
	db, err := sql.Open("sqlite3", app+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	databases, skipped := find(t, strings.TrimSuffix(app, "/app.db"))
	mustFind(t, databases, []string(nil))
	if skipped["app.db"] != SkipInProcess {
		t.Errorf("skipped %q", skipped)
	}
	if out, err := trySQLite(app, "PRAGMA busy_timeout=0;", addRows); err == nil || !strings.Contains(out, "locked") {
		t.Errorf("the write lock is gone: %v %s", err, out)
	}
}

// findMounts names, in the environment of this program's second run, the directory with the mounts
// in it.
const findMounts = "SQLITE_CHECKPOINT_TEST_MOUNTS"

// Directories of both kinds of mount are skipped: one with a device number of its own, and bind
// mounts, which have none. A mounted file is found.
func TestFindMounts(t *testing.T) {
	testkit.NeedsRoot(t)
	if root := os.Getenv(findMounts); root != "" {
		databases, skipped := find(t, root)
		mustFind(t, databases, []string{"a.db", "file.db"})
		mustFind(t, skipped, map[string]SkipReason{"tmpfs": SkipMount, "bound": SkipMount})
		return
	}
	root, other := plant(t, header512, "a.db", "tmpfs/", "bound/", "file.db"), plant(t, header512, "b.db")
	cmd := exec.Command(testkit.Tool(t, "unshare"), "-m", "sh", "-ec", `mount -t tmpfs none "$1/tmpfs"
		mount --bind "$2" "$1/bound"
		mount --bind "$2/b.db" "$1/file.db"
		exec "$3" -test.run '^TestFindMounts$'`, "sh", root, other, os.Args[0])
	cmd.Env = append(os.Environ(), findMounts+"="+root)
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "no tests to run") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A database must not be opened again and again, and its -wal not at all. inotify counts the opens.
func TestFindCacheOpensOnce(t *testing.T) {
	root := plant(t, header512, "a.db", "b/b.db", "a.db-wal")
	text := filepath.Join(root, "text")
	if err := os.WriteFile(text, make([]byte, 600), 0o600); err != nil {
		t.Fatal(err)
	}
	cache, opts := new(FindCache), FindOptions{}
	opts.Cache = cache
	search := func() []string {
		found, err := FindDatabases(context.Background(), root, opts)
		if err != nil {
			t.Fatal(err)
		}
		return found.Databases
	}
	want := []string{root + "/a.db", root + "/b/b.db"}
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := unix.InotifyAddWatch(fd, root+"/a.db-wal", unix.IN_OPEN); err != nil {
		t.Fatal(err)
	}
	mustFind(t, search(), want)
	for _, name := range want {
		if _, err := unix.InotifyAddWatch(fd, name, unix.IN_OPEN); err != nil {
			t.Fatal(err)
		}
	}
	mustFind(t, search(), want)
	if n, err := unix.Read(fd, make([]byte, 4096)); err != unix.EAGAIN {
		t.Errorf("a database was opened again, or its -wal: %d bytes of events, error %v", n, err)
	}
	if err := os.WriteFile(text, header512, 0o600); err != nil {
		t.Fatal(err)
	}
	mustFind(t, search(), append(want, text))
}

// TestFindCacheDoubts: a file that was not a database is read again if its next change might not
// have changed its times.
func TestFindCacheDoubts(t *testing.T) {
	root := plant(t, header512, "a.db")
	file, _, err := lstatToken(filepath.Join(root, "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, settled := range []bool{false, true} {
		cache := &FindCache{files: map[string]knownFile{"a.db": {file: file, settled: settled}}}
		found, err := FindDatabases(context.Background(), root, FindOptions{Cache: cache})
		if err != nil || (len(found.Databases) == 1) == settled {
			t.Errorf("settled %v: found %v, %v", settled, found.Databases, err)
		}
	}
}
