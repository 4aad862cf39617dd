package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// lockFaults are about the state in which the source is found, and who may do what with it.
var lockFaults = []matrixRow{
	{row: 35, name: "clean WAL database", try: func(s *scene) {
		s.wal()
		s.try(trial{}).hasRows(500)
	}},
	{row: 36, name: "clean WAL database, foreign uid", try: foreign(func(s *scene) { s.wal() }, codeDone, 500)},
	{row: 37, name: "clean WAL database, read-only directory or mount", try: func(s *scene) {
		s.wal()
		s.try(trial{under: s.mounted(fmt.Sprintf("mount --bind %s %[1]s && mount -o remount,bind,ro %[1]s",
			s.source))}).hasRows(500)
		s.own(0o644)
		s.Check(os.Chmod(s.source, 0o555))
		s.try(trial{under: s.user(harness.Nobody)}).hasRows(500)
		s.Check(os.Chmod(s.source, 0o777))
		s.stillWrites(500)
	}},
	{row: 38, name: "crash-left wal", try: func(s *scene) {
		s.part("with shm", func(s *scene) {
			s.crashed("-wal", "-shm")
			s.try(trial{}).hasRows(600)
			s.stillWrites(600)
		})
		s.part("without shm", func(s *scene) {
			s.crashed("-wal")
			s.try(trial{}).hasRows(600)
			s.stillWrites(600)
		})
	}},
	{row: 39, name: "crash-left wal, foreign uid", try: func(s *scene) {
		s.part("with shm", foreign(func(s *scene) { s.crashed("-wal", "-shm") }, codeDone, 600))
		s.part("without shm", foreign(func(s *scene) { s.crashed("-wal") }, codeDone, 600))
	}},
	{row: 40, name: "crash-left wal that cannot be read", try: func(s *scene) {
		for _, suffixes := range [][]string{{"-wal", "-shm"}, {"-wal"}} {
			s.part(strings.Join(suffixes, ""), func(s *scene) {
				s.crashed(suffixes...)
				s.own(0o644)
				s.Check(os.Chmod(s.db+"-wal", 0))
				s.try(trial{under: s.user(harness.Nobody), codes: []int{codeSource},
					says: []string{"app.db-wal", "ermi"}})
				s.Check(os.Chmod(s.db+"-wal", 0o644))
				s.stillWrites(600)
			})
		}
	}},
	{row: 41, name: "live application, WAL", try: func(s *scene) {
		besideWriter(s, "WAL", 20)
		s.part("foreign uid", func(s *scene) { s.wal(); s.foreignBesideLive() })
	}},
	{row: 42, name: "live application, rollback", try: func(s *scene) {
		besideWriter(s, "DELETE", 10)
		s.part("stalled reader", writesWhileReaderStalls)
		s.part("foreign uid", func(s *scene) { s.rollback(); s.foreignBesideLive() })
	}},
	{row: 43, name: "EXCLUSIVE in rollback mode", try: func(s *scene) {
		s.rollback()
		s.Open(s.db, "PRAGMA locking_mode=EXCLUSIVE;", "BEGIN EXCLUSIVE;")
		s.staysBusy()
		s.part("foreign uid", func(s *scene) {
			s.rollback()
			s.own(0o644)
			app := s.OpenAs(harness.App, s.db, "PRAGMA locking_mode=EXCLUSIVE;", "BEGIN EXCLUSIVE;")
			s.try(trial{under: s.user(harness.Nobody), args: s.waiting(), codes: []int{codeBusy},
				says: []string{"app.db", "locked"}})
			app.Run("COMMIT;")
			app.Close()
			s.stillWrites(500)
		})
	}},
	{row: 44, name: "EXCLUSIVE in WAL mode", try: func(s *scene) {
		s.part("same user", func(s *scene) {
			s.wal()
			s.Open(s.db, "PRAGMA locking_mode=EXCLUSIVE;", moreRows)
			if _, err := os.Stat(s.db + "-shm"); err == nil {
				s.Fatal("there is a -shm")
			}
			s.staysBusy()
		})
		s.part("foreign uid", func(s *scene) {
			s.wal()
			s.own(0o644)
			app := s.OpenAs(harness.App, s.db, "PRAGMA locking_mode=EXCLUSIVE;", moreRows)
			s.try(trial{under: s.user(harness.Nobody), args: s.waiting(), codes: []int{codeBusy},
				says: []string{"app.db", "locked"}})
			app.Close()
			s.stillWrites(600)
		})
	}},
	{row: 45, name: "hot rollback journal", try: func(s *scene) {
		s.hot()
		s.try(trial{args: s.waiting(), codes: []int{codeSource}, says: []string{"app.db", "hot rollback journal",
			"open it once with its application"}})
		s.stillWrites(500)
		s.part("foreign uid", foreign(func(s *scene) { s.hot() }, codeSource, 500))
	}},
	{row: 46, name: "hot rollback journal, read-only directory", try: func(s *scene) {
		s.hot()
		s.own(0o644)
		s.Check(os.Chmod(s.source, 0o555))
		s.try(trial{under: s.user(harness.Nobody), args: s.waiting(), codes: []int{codeSource},
			says: []string{"app.db", "hot rollback journal"}})
		s.Check(os.Chmod(s.source, 0o777))
		s.stillWrites(500)
	}},
	{row: 47, name: "empty or zeroed journal", try: func(s *scene) {
		for name, state := range map[string]func(s *scene){
			"truncated": func(s *scene) { s.rollback(); s.Write(s.db+"-journal", nil) },
			"persisted": func(s *scene) {
				s.rollback()
				s.SQLite(s.db, "PRAGMA journal_mode=PERSIST;", "DELETE FROM t WHERE id=1;",
					"INSERT INTO t(id,v) VALUES(1,'x');")
			},
		} {
			s.part(name, func(s *scene) {
				state(s)
				s.try(trial{}).hasRows(500)
			})
			s.part(name+", foreign uid", foreign(state, codeDone, 500))
		}
	}},
	{row: 48, name: "source replaced meanwhile", try: func(s *scene) {
		s.disturbed([]int{codeSource}, []string{"app.db", "replaced meanwhile"}, func() {
			other := filepath.Join(s.Root, "other.db")
			s.SQLite(other, rowsSQL(10))
			s.Check(os.Rename(other, s.db))
		})
	}},
	{row: 49, name: "source truncated meanwhile", try: func(s *scene) {
		s.disturbed([]int{codeCorrupt, codeSource}, []string{"app.db"}, func() { s.Check(os.Truncate(s.db, 8192)) })
	}},
	{row: 50, name: "source deleted meanwhile", try: func(s *scene) {
		s.disturbed([]int{codeSource}, []string{"app.db", "replaced meanwhile"}, func() { s.Check(os.Remove(s.db)) })
	}},
	{row: 51, name: "application starts and commits during a guarded copy", try: guardedCopyDisturbed},
	{row: 52, name: "VACUUM or journal mode changed meanwhile", try: changedMeanwhile},
	// SQLite itself makes SQLITE_CORRUPT of an EIO that it meets while it runs a statement
	// (sqlite3VdbeExec).
	{row: 53, name: "EIO on source read", try: func(s *scene) {
		for name, state := range map[string]func(s *scene){"rollback": (*scene).tinyRollback, "wal": (*scene).tinyWAL} {
			s.part(name, func(s *scene) {
				state(s)
				s.sweep("pread64", "EIO", true, func(inject []string) *aftermath {
					return s.try(trial{under: s.strace(append([]string{"-P", s.db}, inject...)...),
						codes: []int{codeDone, codeSource, codeCorrupt}, says: []string{"app.db"}})
				})
			})
		}
	}},
	{row: 54, name: "source unreadable", try: func(s *scene) {
		s.rollback()
		s.Check(os.Chmod(s.db, 0))
		s.try(trial{under: s.user(harness.Nobody), codes: []int{codeSource},
			says: []string{"app.db", "permission denied"}})
	}},
	{row: 55, name: "file descriptor limit", try: fewDescriptors},
	{row: 56, name: "destination is the source", try: sameFile},
	{row: 57, name: "signal at each phase", try: signals},
	{row: 58, name: "SIGKILL at the Nth write of the copy", try: func(s *scene) {
		s.wal()
		s.killAtEachWrite(trial{})
		s.stillWrites(500)
	}},
	{row: 59, name: "SIGKILL during streaming", try: func(s *scene) {
		s.big()
		p := s.start(trial{stall: true, codes: []int{-1}, sends: true, silent: true})
		p.sending()
		p.signal(syscall.SIGKILL)
		p.finish()
	}},
	{row: 60, name: "out of memory", try: func(s *scene) {
		s.rollback()
		for _, mib := range []int{1, 4, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 96, 128} {
			s.try(trial{under: s.limited(fmt.Sprintf("--data=%d", mib<<20)), codes: []int{-1, 0, 1, 2, 3, 4, 5, 6, 7},
				sends: true, silent: true, litter: true})
		}
		s.clearTemp()
	}},
}
