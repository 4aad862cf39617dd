package engine

// setUse finds out who uses the database, and with it what a backup would meet.
func (in *Inspection) setUse(s *sourceFile) {
	locks := lookAtLocks(s.file)
	if in.NetworkFilesystem {
		locks.known = false // others' locks may not be seen here
	}
	shm := openSibling(s.path + "-shm")
	defer shm.close()
	in.Held = heldBy(locks, in.JournalMode == "wal", shm)
	in.Journal = s.journal(in.NetworkFilesystem)
	in.Backup, in.BackupDetail = in.backup(s.header.wal(), locks, shm, neighboursOf(s.file, shm))
}

// backup forecasts what access will choose.
func (in *Inspection) backup(walHeader bool, locks lockView, shm sibling, beside neighbours) (Forecast, string) {
	state := sourceState{walHeader: walHeader, wal: in.WAL.presence(), shm: in.ShmExists, journal: in.Journal.presence()}
	way := state.access()
	switch {
	case in.Journal == JournalUnknown:
		return ForecastRefused, "would be refused: the rollback journal cannot be read"
	case in.Journal == JournalHot:
		return ForecastRefused, "would be refused: a crash left a hot rollback journal"
	case way == accessShared && shm.err != nil:
		return ForecastRefused, "would be refused: the -shm cannot be read"
	case locks.excluding:
		return ForecastBusy, "waits: a connection holds the database exclusively"
	case beside.elsewhere(state):
		return ForecastRefused, "would be refused: somebody has the database open whose -wal is not the one beside it"
	case way == accessJournal:
		return ForecastBusy, "waits: there is a rollback journal beside the WAL"
	}
	return in.forecast(way)
}

func (in *Inspection) forecast(way access) (Forecast, string) {
	switch way {
	case accessReadOnly:
		return ForecastReadOnly, "reads the database under SQLite's shared lock: commits wait while pages are copied"
	case accessShared:
		return ForecastSharedMemory, "reads the WAL through the existing -shm: no writer waits"
	case accessCopy:
		return ForecastPrivateCopy, "copies the database and its WAL first, and reads that copy"
	}
	if in.Held == HeldNo {
		return ForecastImmutable, "reads without locks: nobody has the database open"
	}
	return ForecastImmutable, "reads without locks, and repeats if the file changes"
}

func (w WAL) presence() presence {
	switch {
	case !w.Exists:
		return absent
	case w.Size == 0:
		return hollow
	}
	return filled
}

func (j Journal) presence() presence {
	switch j {
	case JournalNone:
		return absent
	case JournalEmpty, JournalZeroed:
		return hollow
	}
	return filled
}
