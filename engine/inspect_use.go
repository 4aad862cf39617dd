package engine

import "github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"

// setUse finds out who uses the database, and with it what a backup would meet.
func (in *Inspection) setUse(s *sourceFile) outlook {
	look := s.outlook()
	locks := look.locks
	in.Journal = look.journal
	if in.NetworkFilesystem { // others' locks may not be seen here
		locks.known = false
		if in.Journal == JournalHot {
			in.Journal = JournalPresent
		}
	}
	shm := sqlitefile.OpenAux(s.path + "-shm")
	defer shm.Close()
	in.Held = heldBy(locks, in.JournalMode == "wal", shm)
	in.Backup, in.BackupDetail = look.forecast(in.Held)
	return look
}
