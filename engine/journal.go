package engine

import "github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"

// journal returns the state of the rollback journal, judged by the locks that are visible.
func (s *sourceFile) journal() Journal {
	return judgeJournal(
		func() (sqlitefile.JournalHeader, Journal) { return readJournal(s.path + "-journal") },
		func() bool {
			locks := probeLocks(s.file)
			return locks.known && !locks.writing
		})
}

// judgeJournal calls a journal hot if it is unchanged across an instant at which no writer holds a
// lock: each transaction writes a random number into its journal header, so a journal of a new
// transaction differs.
func judgeJournal(read func() (sqlitefile.JournalHeader, Journal), quiet func() bool) Journal {
	first, state := read()
	if state != JournalPresent || !quiet() {
		return state
	}
	second, state := read()
	if state == JournalPresent && second == first {
		return JournalHot
	}
	return state
}

// readJournal goes by the first byte, like SQLite.
func readJournal(path string) (sqlitefile.JournalHeader, Journal) {
	journal := sqlitefile.OpenAux(path)
	defer journal.Close()
	switch {
	case !journal.Exists:
		return sqlitefile.JournalHeader{}, JournalNone
	case journal.Size == 0:
		return sqlitefile.JournalHeader{}, JournalEmpty
	case journal.Err != nil:
		return sqlitefile.JournalHeader{}, JournalUnknown
	}
	h, n, err := journal.JournalHeader()
	switch {
	case err != nil:
		return h, JournalUnknown
	case n == 0:
		return h, JournalEmpty
	case h.Zeroed():
		return h, JournalZeroed
	}
	return h, JournalPresent
}
