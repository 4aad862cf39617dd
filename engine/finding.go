package engine

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

// A Finding is a fact about a database that its operator should know although a backup works.
type Finding struct {
	Code     FindingCode
	Evidence string // a sentence that names the database
}

// A FindingCode says what a [Finding] is about.
type FindingCode string

const (
	FindingNetwork    FindingCode = "network_filesystem" // locks may not reach other machines or containers
	FindingHardLinks  FindingCode = "hard_links"         // each name has a -wal of its own
	FindingMounted    FindingCode = "mounted_alone"      // a -wal elsewhere would not be seen
	FindingReplaced   FindingCode = "main_replaced"      // its application has another file open
	FindingForeignWAL FindingCode = "foreign_wal"        // the -wal seems to be another database's
	FindingLargeWAL   FindingCode = "large_wal"          // many times the database
	FindingLitestream FindingCode = "litestream"         // it replicates this database
	FindingWALReset   FindingCode = "wal_reset_bug"      // of the SQLite that wrote last
	FindingWeakCheck  FindingCode = "weak_check"         // the copy's check would be weaker than asked for
)

// surroundings returns the findings about the place of the database.
func (s *sourceFile) surroundings() (found []Finding) {
	if links := osfile.HardLinks(s.info); links > 1 {
		found = append(found, Finding{FindingHardLinks, fmt.Sprintf(
			"%s has %d hard links: a writer that uses another name has another -wal, which was not read",
			s.name, links)})
	}
	if osfile.MountPoint(s.path) {
		found = append(found, Finding{FindingMounted, fmt.Sprintf(
			"%s is mounted on its own: a -wal or -journal that its application keeps elsewhere was not read", s.name)})
	}
	if s.seemsReplaced() {
		found = append(found, Finding{FindingReplaced, fmt.Sprintf(
			"a process has the -shm of %s open, but holds no lock on %s: if the file was replaced under it, "+
				"its commits are in another one", s.name, s.name)})
	}
	if name, network, err := networkFilesystem(s.path); err == nil && network {
		found = append(found, Finding{FindingNetwork, fmt.Sprintf(
			"%s is on %s: locks may not reach other machines or containers there", s.name, name)})
	}
	return found
}

// litestream returns the directory that Litestream keeps beside a database that it replicates, or
// "".
func (s *sourceFile) litestream() string {
	dir, name := filepath.Split(s.path)
	shadow := dir + "." + name + "-litestream"
	if info, err := os.Lstat(shadow); err != nil || !info.IsDir() {
		return ""
	}
	return shadow
}

// hasWALResetBug reports whether a version, as the header has it, can lose a commit when two
// connections checkpoint: https://www.sqlite.org/wal.html, "The WAL-Reset Bug". It was fixed in
// 3.51.3, 3.50.7 and 3.44.6.
func hasWALResetBug(version uint32) bool {
	const (
		first, last = 3007000, 3051002
		minor       = 1000
	)
	for _, fixed := range []uint32{3044006, 3050007} {
		if version >= fixed && version/minor == fixed/minor {
			return false
		}
	}
	return first <= version && version <= last
}

// application returns the findings about the programs that use the database: Litestream, and the
// last writer.
func (in *Inspection) application() (found []Finding) {
	if in.Litestream != "" {
		found = append(found, Finding{FindingLitestream,
			fmt.Sprintf("%s is replicated by Litestream: there is %s", in.Path, in.Litestream)})
	}
	if in.WALResetBug {
		found = append(found, Finding{FindingWALReset, fmt.Sprintf("%s was last written by SQLite %s, "+
			"whose WAL-reset bug can lose a commit when another process checkpoints", in.Path, in.SQLiteVersion)})
	}
	return found
}

// A WAL is large if it is so many times the database and so many bytes.
const (
	largeWALFactor = 4
	largeWALBytes  = 16 << 20
)

// walFindings returns the findings about the -wal.
func (in *Inspection) walFindings(s *sourceFile) (found []Finding) {
	if in.WAL.Size >= largeWALBytes && in.WAL.Size > largeWALFactor*in.Size {
		evidence := fmt.Sprintf("the -wal of %s has %d bytes, the database %d; %d are not checkpointed",
			in.Path, in.WAL.Size, in.Size, in.WAL.UncheckpointedBytes)
		if pid := s.walReader(); pid > 0 {
			evidence += fmt.Sprintf(", and process %d%s is reading it", pid, commandOf(pid))
		}
		found = append(found, Finding{FindingLargeWAL, evidence})
	}
	if in.foreignWAL != "" {
		found = append(found, Finding{FindingForeignWAL,
			fmt.Sprintf("the -wal beside %s seems to be another database's: %s", in.Path, in.foreignWAL)})
	}
	return found
}

// foreignLog returns why a log cannot be that of a database with the header h, or "" if it can be.
// A log without page 1 can be.
func foreignLog(h sqlitefile.Header, c sqlitefile.WAL, size int64) string {
	log, ok := sqlitefile.ParseWALHeader(c.Start[:])
	newest, err := sqlitefile.ParseHeader(c.Page1)
	switch {
	case size < sqlitefile.WALHeaderSize:
		return ""
	case !ok:
		return "its header is not valid, and all of it is ignored"
	case log.PageSize != h.PageSize:
		return fmt.Sprintf("its pages have %d bytes, those of the database %d", log.PageSize, h.PageSize)
	case err != nil:
		return ""
	case newest.Encoding != h.Encoding && h.Encoding != 0:
		return fmt.Sprintf("its encoding is %s, that of the database %s", newest.EncodingName(), h.EncodingName())
	case int32(newest.ChangeCounter-h.ChangeCounter) < 0:
		return fmt.Sprintf("its newest change is %d, the database has change %d", newest.ChangeCounter, h.ChangeCounter)
	}
	return ""
}
