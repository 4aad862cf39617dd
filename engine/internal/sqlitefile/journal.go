package sqlitefile

import "io"

// A JournalHeader is the start of a rollback journal:
// https://www.sqlite.org/fileformat2.html#the_rollback_journal
type JournalHeader [28]byte

const journalMagic = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"

// Zeroed reports whether the journal was ended by zeroing its header. SQLite looks at the first
// byte.
func (h JournalHeader) Zeroed() bool { return h[0] == 0 }

// JournalHeader reads the header, or the n bytes that a shorter file has of it.
func (s AuxFile) JournalHeader() (h JournalHeader, n int, err error) {
	n, err = s.File.ReadAt(h[:], 0)
	if err == io.EOF {
		err = nil
	}
	return h, n, err
}
