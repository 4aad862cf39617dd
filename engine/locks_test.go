//go:build linux

package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"
)

func TestHeldBy(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "shm"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	there := sqlitefile.AuxFile{Exists: true, File: file}
	unreadable := sqlitefile.AuxFile{Exists: true, Err: errors.New("permission denied")}
	cases := []struct {
		name  string
		locks lockState
		wal   bool
		shm   sqlitefile.AuxFile
		want  InUse
	}{
		{"any lock", lockState{known: true, any: true}, false, sqlitefile.AuxFile{}, InUseYes},
		{"any lock, seen from a network", lockState{any: true}, true, sqlitefile.AuxFile{}, InUseYes},
		{"rollback, none", lockState{known: true}, false, sqlitefile.AuxFile{}, InUseUnknown},
		{"WAL, none, no -shm", lockState{known: true}, true, sqlitefile.AuxFile{}, InUseNo},
		{"WAL, none, -shm", lockState{known: true}, true, there, InUseNo},
		{"WAL, none, -shm not readable", lockState{known: true}, true, unreadable, InUseUnknown},
		{"WAL, locks not seen", lockState{}, true, there, InUseUnknown},
	}
	for _, c := range cases {
		if got := inUseBy(c.locks, c.wal, c.shm); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// Each of SQLite's lock states, as another process holds it.
func TestLockView(t *testing.T) {
	cases := []struct {
		state      string
		statements string
		want       lockState
	}{
		{"none", "SELECT 1;", lockState{known: true}},
		{"SHARED", "BEGIN; SELECT count(*) FROM t;", lockState{known: true, any: true}},
		{"RESERVED", "BEGIN IMMEDIATE;", lockState{known: true, any: true, writing: true}},
		{"EXCLUSIVE", "BEGIN EXCLUSIVE;", lockState{known: true, any: true, writing: true, excluding: true}},
	}
	for _, c := range cases {
		db := rollbackDatabase(t)
		open(t, db, c.statements)
		if got := viewLocks(t, db); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.state, got, c.want)
		}
	}
}

// A writer that waits for a reader holds PENDING.
func TestLockViewPending(t *testing.T) {
	db := rollbackDatabase(t)
	open(t, db, "BEGIN; SELECT count(*) FROM t;")
	writer := open(t, db, "BEGIN; INSERT INTO t VALUES(1);")
	if got := viewLocks(t, db); got.excluding {
		t.Errorf("before the commit: %+v", got)
	}
	if out, err := writer.Try("COMMIT;"); err != nil || !strings.Contains(out, "locked") {
		t.Fatalf("the commit: %s", out)
	}
	if got := viewLocks(t, db); !got.excluding {
		t.Errorf("after a commit that met a reader: %+v", got)
	}
}

func viewLocks(t *testing.T, db string) lockState {
	t.Helper()
	file, err := os.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	return probeLocks(file)
}

// An idle connection to a WAL database holds the dead man's switch.
func TestHeldInWAL(t *testing.T) {
	db := walDatabase(t)
	live := open(t, db, "SELECT count(*) FROM t;")
	shm := sqlitefile.OpenAux(db + "-shm")
	defer shm.Close()
	if got := inUseInWAL(shm.File); got != InUseYes {
		t.Errorf("with an idle connection: %s", got)
	}
	live.Kill()
	if got := inUseInWAL(shm.File); got != InUseNo {
		t.Errorf("after its death: %s", got)
	}
}

// TestLockHolder: one process that keeps EXCLUSIVE is told from several, and from locks that others
// than EXCLUSIVE hold.
func TestLockHolder(t *testing.T) {
	db := rollbackDatabase(t)
	s := openForTest(t, db)
	blocked := func() {
		t.Helper()
		if locked, err := s.lock(); locked || !errors.Is(err, osfile.ErrLocked) {
			t.Fatalf("locked %v, %v", locked, err)
		}
	}
	first, second := open(t, db), open(t, db)
	first.run("BEGIN EXCLUSIVE;")
	blocked()
	since := s.holder
	if blocked(); s.holder != since || since.pid == 0 || since.varied || since.since.IsZero() {
		t.Errorf("the same process: %+v, then %+v", since, s.holder)
	}
	first.run("COMMIT;")
	second.run("BEGIN EXCLUSIVE;")
	if blocked(); !s.holder.varied || s.holder.since != since.since {
		t.Errorf("another process: %+v, then %+v", since, s.holder)
	}
	s.holder = lockHolder{}
	second.run("COMMIT;")
	if locked, err := s.lock(); !locked || err != nil || !s.holder.varied {
		t.Errorf("none: locked %v, %v, %+v", locked, err, s.holder)
	}
	unlockShared(s.file)
	s.holder.varied = true // it was free in between
	first.run("BEGIN EXCLUSIVE;")
	if blocked(); !s.holder.varied {
		t.Errorf("a lock that was free before: %+v", s.holder)
	}
	first.run("COMMIT;")

	pending, err := os.OpenFile(db, os.O_RDWR, 0) // a writer that waits for readers
	must(t, err)
	defer pending.Close()
	must(t, osfile.Lock(pending, osfile.Exclusive, pendingByte, 1))
	s.holder = lockHolder{}
	if blocked(); !s.holder.varied {
		t.Errorf("PENDING: %+v", s.holder)
	}
}
