package engine

import "testing"

// TestAccess lists every state a database can be found in: header, -wal, -shm, -journal.
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
		{sourceState{rollback, absent, noShm, absent}, ro},
		{sourceState{rollback, absent, noShm, hollow}, ro},
		{sourceState{rollback, absent, noShm, filled}, ro},
		{sourceState{rollback, absent, shm, absent}, ro},
		{sourceState{rollback, absent, shm, hollow}, ro},
		{sourceState{rollback, absent, shm, filled}, ro},
		{sourceState{rollback, hollow, noShm, absent}, ro},
		{sourceState{rollback, hollow, noShm, hollow}, ro},
		{sourceState{rollback, hollow, noShm, filled}, ro},
		{sourceState{rollback, hollow, shm, absent}, ro},
		{sourceState{rollback, hollow, shm, hollow}, ro},
		{sourceState{rollback, hollow, shm, filled}, ro},
		{sourceState{rollback, filled, noShm, absent}, copies},
		{sourceState{rollback, filled, noShm, hollow}, copies},
		{sourceState{rollback, filled, noShm, filled}, journal},
		{sourceState{rollback, filled, shm, absent}, copies},
		{sourceState{rollback, filled, shm, hollow}, copies},
		{sourceState{rollback, filled, shm, filled}, journal},
		{sourceState{wal, absent, noShm, absent}, immut},
		{sourceState{wal, absent, noShm, hollow}, immut},
		{sourceState{wal, absent, noShm, filled}, journal},
		{sourceState{wal, absent, shm, absent}, immut},
		{sourceState{wal, absent, shm, hollow}, immut},
		{sourceState{wal, absent, shm, filled}, journal},
		{sourceState{wal, hollow, noShm, absent}, immut},
		{sourceState{wal, hollow, noShm, hollow}, immut},
		{sourceState{wal, hollow, noShm, filled}, journal},
		{sourceState{wal, hollow, shm, absent}, shared},
		{sourceState{wal, hollow, shm, hollow}, shared},
		{sourceState{wal, hollow, shm, filled}, shared},
		{sourceState{wal, filled, noShm, absent}, copies},
		{sourceState{wal, filled, noShm, hollow}, copies},
		{sourceState{wal, filled, noShm, filled}, journal},
		{sourceState{wal, filled, shm, absent}, shared},
		{sourceState{wal, filled, shm, hollow}, shared},
		{sourceState{wal, filled, shm, filled}, shared},
	}
	seen := map[sourceState]bool{}
	for _, row := range table {
		seen[row.state] = true
		if got := row.state.access(); got != row.want {
			t.Errorf("%+v: access %d, want %d", row.state, got, row.want)
		}
		if row.want == accessImmutable && (row.state.wal == filled || row.state.journal == filled) {
			t.Errorf("%+v: an immutable open would be silently wrong", row.state)
		}
	}
	if len(seen) != 36 {
		t.Errorf("%d states, want all 36", len(seen))
	}
}
