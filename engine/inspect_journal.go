package engine

import "io"

// journal tells the state of the rollback journal, by the locks that can be seen from here.
func (s *sourceFile) journal() Journal {
	return judgeJournal(
		func() (journalHeader, Journal) { return readJournal(s.path + "-journal") },
		func() bool {
			locks := lookAtLocks(s.file)
			return locks.known && !locks.writing
		})
}

// judgeJournal calls a journal hot if it stays the same around a moment in which surely nobody writes: each transaction
// puts a random number into its journal's header, so it is not the journal of one that has ended and one that has begun.
func judgeJournal(read func() (journalHeader, Journal), quiet func() bool) Journal {
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

// A journalHeader is the start of a rollback journal: https://www.sqlite.org/fileformat2.html#the_rollback_journal
type journalHeader [28]byte

// readJournal goes by the first byte, like SQLite.
func readJournal(path string) (journalHeader, Journal) {
	var h journalHeader
	journal := openSibling(path)
	defer journal.close()
	switch {
	case !journal.exists:
		return h, JournalNone
	case journal.size == 0:
		return h, JournalEmpty
	case journal.err != nil:
		return h, JournalUnknown
	}
	n, err := journal.file.ReadAt(h[:], 0)
	switch {
	case err != nil && err != io.EOF:
		return h, JournalUnknown
	case n == 0:
		return h, JournalEmpty
	case h[0] == 0:
		return h, JournalZeroed
	}
	return h, JournalPresent
}
