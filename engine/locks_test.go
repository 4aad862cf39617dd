//go:build linux

package engine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
		locks lockView
		wal   bool
		shm   sqlitefile.AuxFile
		want  Held
	}{
		{"any lock", lockView{known: true, any: true}, false, sqlitefile.AuxFile{}, HeldYes},
		{"any lock, seen from a network", lockView{any: true}, true, sqlitefile.AuxFile{}, HeldYes},
		{"rollback, none", lockView{known: true}, false, sqlitefile.AuxFile{}, HeldUnknown},
		{"WAL, none, no -shm", lockView{known: true}, true, sqlitefile.AuxFile{}, HeldNo},
		{"WAL, none, -shm", lockView{known: true}, true, there, HeldNo},
		{"WAL, none, -shm not readable", lockView{known: true}, true, unreadable, HeldUnknown},
		{"WAL, locks not seen", lockView{}, true, there, HeldUnknown},
	}
	for _, c := range cases {
		if got := heldBy(c.locks, c.wal, c.shm); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// Each of SQLite's lock states, as another process holds it.
func TestLockView(t *testing.T) {
	cases := []struct {
		state      string
		statements string
		want       lockView
	}{
		{"none", "SELECT 1;", lockView{known: true}},
		{"SHARED", "BEGIN; SELECT count(*) FROM t;", lockView{known: true, any: true}},
		{"RESERVED", "BEGIN IMMEDIATE;", lockView{known: true, any: true, writing: true}},
		{"EXCLUSIVE", "BEGIN EXCLUSIVE;", lockView{known: true, any: true, writing: true, excluding: true}},
	}
	for _, c := range cases {
		db := rollbackDatabase(t)
		open(t, db, c.statements)
		if got := viewLocks(t, db); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.state, got, c.want)
		}
	}
}

// A writer that waits for a reader to end holds PENDING.
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

func viewLocks(t *testing.T, db string) lockView {
	t.Helper()
	file, err := os.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	return lookAtLocks(file)
}

// A connection that has a WAL database open, idle, holds the dead man's switch.
func TestHeldInWAL(t *testing.T) {
	db := walDatabase(t)
	live := open(t, db, "SELECT count(*) FROM t;")
	shm := sqlitefile.OpenAux(db + "-shm")
	defer shm.Close()
	if got := heldInWAL(shm.File); got != HeldYes {
		t.Errorf("with an idle connection: %s", got)
	}
	live.Kill()
	if got := heldInWAL(shm.File); got != HeldNo {
		t.Errorf("after its death: %s", got)
	}
}
