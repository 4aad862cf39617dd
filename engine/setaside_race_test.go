//go:build linux

package engine

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestUndoKeepsTheLastName: whether or not somebody has taken one of the old database's names, each
// of its files keeps at least one name, and no file of one set is beside those of another.
func TestUndoKeepsTheLastName(t *testing.T) {
	for _, taken := range []string{"none", "", "-wal", "-shm"} {
		db := crashed(t, "-wal", "-shm")
		aside := db + ".aside"
		if err := linkDatabase(placeOf(t, db), db, aside); err != nil {
			t.Fatal(err)
		}
		if err := unlinkDatabase(placeOf(t, db), db, aside); err != nil {
			t.Fatal(err)
		}
		if names, _ := filepath.Glob(db + "*"); len(names) != 3 {
			t.Fatalf("after the move: %v", names)
		}
		if taken != "none" {
			writeFile(t, db+taken, []byte("theirs"))
		}
		err := linkDatabase(placeOf(t, db), aside, db)
		if (err != nil) != (taken != "none") {
			t.Errorf("taken %s: %v", taken, err)
		}
		unlinkDatabase(placeOf(t, db), aside, db)
		where, left := db, "app.db app.db-shm app.db-wal"
		if taken != "none" {
			where, left = aside, "app.db"+taken+" app.db.aside app.db.aside-shm app.db.aside-wal"
			if got, _ := os.ReadFile(db + taken); string(got) != "theirs" {
				t.Errorf("taken %s: now %q", taken, got)
			}
		}
		if got := baseNames(t, filepath.Dir(db)); got != left {
			t.Errorf("taken %s: %s, want %s", taken, got, left)
		}
		if got := sqlite(t, where, "SELECT count(*) FROM t;"); got != "600" {
			t.Errorf("taken %s: %s rows", taken, got)
		}
	}
}

func baseNames(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return strings.Join(names, " ")
}

// TestReplaceTaken: a restarted application makes a new database as soon as the old one's name is
// free.
func TestReplaceTaken(t *testing.T) {
	b := image(t)
	for range 20 {
		db := newRollback(t)
		old, _ := os.ReadFile(db)
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				fd, err := unix.Open(db, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
				if err == nil {
					unix.Close(fd)
					return
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		}()
		_, err := Install(context.Background(), bytes.NewReader(b), db, InstallOptions{SetAside: db + ".aside"})
		close(stop)
		<-stopped
		if got, _ := os.ReadFile(db + ".aside"); !bytes.Equal(got, old) {
			t.Fatalf("the old database is gone: %v", err)
		}
		if err != nil && !strings.Contains(err.Error(), db+".aside") {
			t.Errorf("it does not say where the old database is: %v", err)
		}
	}
}

// TestReplaceFails: if the new database cannot get the name, the old one has it again.
func TestReplaceFails(t *testing.T) {
	db := crashed(t, "-wal", "-shm")
	dir, err := placeOf(t, db).NewDir()
	if err != nil {
		t.Fatal(err)
	}
	s := stagedImage{place: placeOf(t, db), dir: dir} // without an image
	moved, err := s.replace(db, db+".aside")
	wantKind(t, err, KindTemp)
	if err := s.Close(); err != nil || len(moved) > 0 {
		t.Errorf("%v, moved %v", err, moved)
	}
	if got := baseNames(t, filepath.Dir(db)); got != "app.db app.db-shm app.db-wal" {
		t.Errorf("there are %s", got)
	}
	if got := sqlite(t, db, "SELECT count(*) FROM t;"); got != "600" {
		t.Errorf("%s rows", got)
	}
	if err := linkDatabase(placeOf(t, db), db+".none", db+".other"); err == nil {
		t.Error("a database that does not exist has another name")
	}
}

// TestReplaceSwapped: another file has taken the old database's second name. Its first one stays.
func TestReplaceSwapped(t *testing.T) {
	db := newRollback(t)
	held, err := takeLease(placeOf(t, db), db)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	writeFile(t, db+".aside", nil)
	s := stagedImage{place: placeOf(t, db)}
	wantKind(t, s.takeOver(db, db+".aside", held), KindChanged)
	if got := baseNames(t, filepath.Dir(db)); got != "app.db app.db.aside" {
		t.Errorf("there are %s", got)
	}
}

// TestReplaceOpened: a process that opens the database while it is leased waits, and then gets the
// old file. The name must not go to the new one.
func TestReplaceOpened(t *testing.T) {
	db := newRollback(t)
	aside := db + ".aside"
	held, err := takeLease(placeOf(t, db), db)
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan int)
	go func() {
		fd, _ := unix.Open(db, unix.O_RDWR|unix.O_CLOEXEC, 0)
		opened <- fd
	}()
	for deadline := time.Now().Add(time.Minute); !held.Broken(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody waits")
		}
	}
	if err := linkDatabase(placeOf(t, db), db, aside); err != nil {
		t.Fatal(err)
	}
	l := stagedImage{place: placeOf(t, db)}
	wantKind(t, l.takeOver(db, aside, held), KindBusy)
	held.Close()
	unix.Close(<-opened)
	again, err := takeLease(placeOf(t, db), aside)
	if err != nil || again.Broken() {
		t.Fatalf("a lease that nobody waits for: %v", err)
	}
	again.Close()
}
