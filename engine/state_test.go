package engine

import "testing"

// TestAccess lists every state of a database: header, -wal, -shm, -journal.
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
	}
	if len(seen) != 36 {
		t.Errorf("%d states, want all 36", len(seen))
	}
}
