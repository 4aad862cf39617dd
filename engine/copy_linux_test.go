package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/batchvfs"
)

// writtenCopy makes a copy as snapshots do, and returns how often this thread has called write(2)
// and the like meanwhile.
func writtenCopy(t *testing.T, p *readTx) (copied *os.File, calls int) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(t.TempDir(), imageName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := writeCalls(t)
	if _, err := copyPages(t.Context(), p, f, SnapshotOptions{}); err != nil {
		t.Fatal(err)
	}
	return f, writeCalls(t) - before
}

// writeCalls counts this thread's calls of write(2) and the like; see proc(5).
func writeCalls(t *testing.T) (n int) {
	t.Helper()
	data, err := os.ReadFile("/proc/thread-self/io")
	if err != nil {
		t.Skip(err)
	}
	_, after, _ := bytes.Cut(data, []byte("syscw: "))
	if _, err := fmt.Sscan(string(after), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// plainCopy makes a copy with SQLite's own VFS.
func plainCopy(t *testing.T, p *readTx) *os.File {
	t.Helper()
	name := filepath.Join(t.TempDir(), "plain.db")
	to, err := openConn(name, "vfs=unix", "mode=rwc", "_synchronous=OFF")
	if err != nil {
		t.Fatal(err)
	}
	backup, err := to.Backup("main", p.conn.SQLiteConn, "main")
	if err != nil {
		t.Fatal(err)
	}
	if done, err := backup.Step(-1); !done || err != nil {
		t.Fatal(done, err)
	}
	if err := backup.Close(); err != nil {
		t.Fatal(err)
	}
	to.Close()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func mustEqual(t *testing.T, a, b *os.File) {
	t.Helper()
	for p, q := make([]byte, 1<<20), make([]byte, 1<<20); ; {
		n, errA := io.ReadFull(a, p)
		m, errB := io.ReadFull(b, q)
		if !bytes.Equal(p[:n], q[:m]) {
			t.Fatal("the copies differ")
		}
		if errA != nil || errB != nil {
			return
		}
	}
}

// TestCopyIsBatched: pages are written many at a time, and the copy is what SQLite's own VFS makes.
func TestCopyIsBatched(t *testing.T) {
	for _, pageSize := range []int{512, 1024, 4096, 65536} {
		for _, mode := range []string{"WAL", "DELETE"} {
			for _, rows := range []int{0, 200, 5000} {
				t.Run(fmt.Sprintf("%s/%d/%d", mode, pageSize, rows), func(t *testing.T) {
					db := filepath.Join(t.TempDir(), "app.db")
					header := fmt.Sprintf("PRAGMA page_size=%d; PRAGMA journal_mode=%s;", pageSize, mode)
					sqlite(t, db, header, fill(rows))
					p := pinned(t, db)
					copied, calls := writtenCopy(t, p)
					mustEqual(t, copied, plainCopy(t, p))
					info, err := copied.Stat()
					if err != nil {
						t.Fatal(err)
					}
					if most := int(info.Size())/(64<<10) + 6; calls > most {
						t.Errorf("%d calls for %d bytes, want at most %d", calls, info.Size(), most)
					}
				})
			}
		}
	}
}

// TestHugeCopyIsBatched: SQLite does not write the page with the lock bytes.
func TestHugeCopyIsBatched(t *testing.T) {
	if testing.Short() {
		t.Skip("1.1 GB")
	}
	db := filepath.Join(t.TempDir(), "app.db")
	sqlite(t, db, `PRAGMA page_size=65536; PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF; CREATE TABLE t(v BLOB);
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<11) INSERT INTO t SELECT zeroblob(1e8) FROM c;`)
	p := pinned(t, db)
	copied, _ := writtenCopy(t, p)
	mustEqual(t, copied, plainCopy(t, p))
}

// TestFailedBatch: a transaction fails if a batch could not be written.
func TestFailedBatch(t *testing.T) {
	dir := t.TempDir()
	var failed, full error
	goFunc(nil).run(func() {
		runtime.LockOSThread() // and the thread ends with its mounts
		failed = errors.Join(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
			unix.Mount("none", dir, "tmpfs", 0, "size=64k"), os.WriteFile(filepath.Join(dir, imageName), nil, 0o600))
		c, err := openConn(filepath.Join(dir, imageName), "mode=rw", "vfs="+batchvfs.Name())
		if failed = errors.Join(failed, err); err == nil {
			defer c.Close()
			full = c.exec(t.Context(), "PRAGMA journal_mode=OFF; CREATE TABLE t AS SELECT zeroblob(200000);")
		}
	})()
	if errors.Is(failed, unix.EPERM) {
		t.Skip("no mount namespace")
	}
	must(t, failed)
	if primary, _ := resultCode(full); primary != codeFull {
		t.Error(full)
	}
}

// TestPinned: SQLite opens a private file through its directory, whatever that is called meanwhile.
func TestPinned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "private")
	must(t, os.Mkdir(dir, 0o700))
	f, err := os.Create(filepath.Join(dir, imageName))
	must(t, err)
	defer f.Close()
	c, err := openPrivate(f, nil, "mode=rw")
	must(t, err)
	defer c.Close()
	must(t, os.Rename(dir, dir+".moved"))
	must(t, os.Mkdir(dir, 0o700))
	must(t, c.exec(t.Context(), "PRAGMA journal_mode=PERSIST; CREATE TABLE t(x);"))
	if got := baseNames(t, dir+".moved"); got != "image.db image.db-journal" {
		t.Errorf("the journal is not beside the file: %s", got)
	}
}
