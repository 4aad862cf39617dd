package engine

import (
	"bytes"
	"fmt"
	"os"
	"testing"
)

// TestAccess lists every state of a database: header, -wal, -shm, -journal. In each of
// them, info says how a backup would read the database, doctor whether it would succeed, and both
// are right.
func TestAccess(t *testing.T) {
	const (
		rollback = false
		wal      = true
		noShm    = false
		shm      = true
		ro       = accessReadOnly
		shared   = accessShared
		immut    = accessImmutable
		copies   = accessCopy
		journal  = accessJournal
	)
	table := []struct {
		state sourceState
		want  access
	}{
		{sourceState{rollback, missing, noShm, missing}, ro},
		{sourceState{rollback, missing, noShm, empty}, ro},
		{sourceState{rollback, missing, noShm, nonEmpty}, ro},
		{sourceState{rollback, missing, shm, missing}, ro},
		{sourceState{rollback, missing, shm, empty}, ro},
		{sourceState{rollback, missing, shm, nonEmpty}, ro},
		{sourceState{rollback, empty, noShm, missing}, ro},
		{sourceState{rollback, empty, noShm, empty}, ro},
		{sourceState{rollback, empty, noShm, nonEmpty}, ro},
		{sourceState{rollback, empty, shm, missing}, ro},
		{sourceState{rollback, empty, shm, empty}, ro},
		{sourceState{rollback, empty, shm, nonEmpty}, ro},
		{sourceState{rollback, nonEmpty, noShm, missing}, copies},
		{sourceState{rollback, nonEmpty, noShm, empty}, copies},
		{sourceState{rollback, nonEmpty, noShm, nonEmpty}, journal},
		{sourceState{rollback, nonEmpty, shm, missing}, copies},
		{sourceState{rollback, nonEmpty, shm, empty}, copies},
		{sourceState{rollback, nonEmpty, shm, nonEmpty}, journal},
		{sourceState{wal, missing, noShm, missing}, immut},
		{sourceState{wal, missing, noShm, empty}, immut},
		{sourceState{wal, missing, noShm, nonEmpty}, journal},
		{sourceState{wal, missing, shm, missing}, immut},
		{sourceState{wal, missing, shm, empty}, immut},
		{sourceState{wal, missing, shm, nonEmpty}, journal},
		{sourceState{wal, empty, noShm, missing}, immut},
		{sourceState{wal, empty, noShm, empty}, immut},
		{sourceState{wal, empty, noShm, nonEmpty}, journal},
		{sourceState{wal, empty, shm, missing}, shared},
		{sourceState{wal, empty, shm, empty}, shared},
		{sourceState{wal, empty, shm, nonEmpty}, shared},
		{sourceState{wal, nonEmpty, noShm, missing}, copies},
		{sourceState{wal, nonEmpty, noShm, empty}, copies},
		{sourceState{wal, nonEmpty, noShm, nonEmpty}, journal},
		{sourceState{wal, nonEmpty, shm, missing}, shared},
		{sourceState{wal, nonEmpty, shm, empty}, shared},
		{sourceState{wal, nonEmpty, shm, nonEmpty}, shared},
	}
	seen := map[sourceState]bool{}
	for _, row := range table {
		seen[row.state] = true
		if got := row.state.access(); got != row.want {
			t.Errorf("%+v: access %d, want %d", row.state, got, row.want)
		}
		if row.want == accessImmutable && (row.state.wal == nonEmpty || row.state.journal == nonEmpty) {
			t.Errorf("%+v: an immutable open would be silently wrong", row.state)
		}
		t.Run(fmt.Sprintf("%+v", row.state), func(t *testing.T) { foreseen(t, row.state, row.want) })
	}
	if len(seen) != 36 {
		t.Errorf("%d states, want all 36", len(seen))
	}
}

// foreseen makes a database in that state, and compares what info and doctor say with what a backup
// does.
func foreseen(t *testing.T, want sourceState, how access) {
	t.Parallel()
	db := inState(t, want)
	src, err := openSource("open", db)
	if err != nil {
		t.Fatal(err)
	}
	state, err := src.readState()
	src.Close()
	want.shm = want.shm && want.wal != missing // alone it is of no use
	if err != nil || state != want {
		t.Fatalf("the state is %+v (%v)", state, err)
	}
	forecast := forecastOf(how)
	if want.journal == nonEmpty { // no process holds a lock: it is hot
		forecast = ForecastRefused
	}
	if in := inspect(t, db); in.Backup != forecast {
		t.Errorf("info says %s (%s), want %s", in.Backup, in.BackupDetail, forecast)
	}
	if p := comesTrue(t, db); (p.Err != nil) != (forecast == ForecastRefused) {
		t.Errorf("doctor says %v, want %s", p.Err, forecast)
	}
}

// inState makes a database in that state.
func inState(t *testing.T, s sourceState) string {
	t.Helper()
	var db string
	switch {
	case !s.walHeader:
		db = newRollback(t)
	case s.wal == nonEmpty:
		db = crashed(t, "-wal")
	default:
		db = newWAL(t)
	}
	if err := os.Chmod(db, 0o600); err != nil {
		t.Fatal(err)
	}
	if s.wal == empty || s.wal == nonEmpty && !s.walHeader {
		writeFile(t, db+"-wal", bytes.Repeat([]byte("garbage "), map[presence]int{nonEmpty: 512}[s.wal]))
	}
	if s.shm {
		writeFile(t, db+"-shm", make([]byte, 32768))
	}
	switch s.journal {
	case empty:
		writeFile(t, db+"-journal", make([]byte, 512))
	case nonEmpty:
		writeFile(t, db+"-journal", append([]byte("\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"), noise(3000)...))
	}
	return db
}

// TestEmptySharedMemory: SQLite would give an empty -shm the mode of the database.
func TestEmptySharedMemory(t *testing.T) {
	db := newWAL(t)
	writeFile(t, db+"-wal", nil)
	writeFile(t, db+"-shm", nil)
	s := openForTest(t, db)
	must(t, os.Chmod(db+"-wal", s.info.Mode().Perm()))
	for mode, want := range map[os.FileMode]bool{s.info.Mode().Perm(): true, 0o600: false} {
		must(t, os.Chmod(db+"-shm", mode))
		if usable, err := s.sharedMemoryUsable(); usable != want || err != nil {
			t.Errorf("mode %o: usable %v, %v", mode, usable, err)
		}
	}
}
