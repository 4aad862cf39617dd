package faults

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-sqlite3"
)

// sourceFaults are about faults of the source itself.
var sourceFaults = []matrixRow{
	{row: 1, name: "missing file", try: func(s *scene) { s.refused(codeSource, "app.db", "no such file") }},
	{row: 2, name: "dangling symlink", try: func(s *scene) {
		s.Check(os.Symlink("nowhere", s.db))
		s.refused(codeSource, "app.db", "no such file")
	}},
	{row: 3, name: "directory", try: func(s *scene) {
		s.Check(os.Mkdir(s.db, 0o755))
		s.refused(codeSource, "app.db", "is a directory")
	}},
	{row: 4, name: "FIFO as source", try: func(s *scene) {
		s.Check(syscall.Mkfifo(s.db, 0o644))
		if o := s.refused(codeSource, "app.db", "not a regular file"); o.elapsed > 10*time.Second {
			s.Errorf("it took %v", o.elapsed)
		}
	}},
	{row: 5, name: "device or socket", try: deviceAsSource},
	{row: 6, name: "zero-byte file", try: func(s *scene) {
		s.Write(s.db, nil)
		s.refused(codeSource, "app.db", "empty file")
	}},
	{row: 7, name: "text or random", try: func(s *scene) {
		for _, data := range [][]byte{[]byte("hi\n"), bytes.Repeat([]byte("text "), 2000), randomBytes(8192)} {
			s.Write(s.db, data)
			s.refused(codeSource, "app.db", "not a SQLite database")
		}
	}},
	{row: 8, name: "16-byte header only", try: func(s *scene) {
		s.Write(s.db, []byte("SQLite format 3\x00"))
		s.refused(codeSource, "app.db", "not a SQLite database")
	}},
	{row: 9, name: "truncated at page boundary", try: func(s *scene) {
		s.rollback()
		s.Check(os.Truncate(s.db, int64(len(s.Read(s.db)))-4096))
		s.refused(codeCorrupt, "app.db")
	}},
	{row: 10, name: "truncated by 1 byte", try: func(s *scene) {
		s.rollback()
		s.Check(os.Truncate(s.db, int64(len(s.Read(s.db)))-1))
		s.refused(codeCorrupt, "app.db", "size is not page_count")
	}},
	{row: 11, name: "30-byte tail", try: func(s *scene) {
		s.rollback()
		clean := s.try(trial{})
		s.Write(s.db, append(s.Read(s.db), "thirty bytes that do not belong"...))
		o := s.try(trial{})
		o.warns("not part of the database")
		if !bytes.Equal(o.stdout, clean.stdout) {
			s.Error("the tail has changed the stream")
		}
	}},
	{row: 12, name: "whole-page tail, version-valid-for mismatch", try: func(s *scene) {
		s.hidden = true
		s.rollback()
		s.Write(s.db, append(s.Read(s.db), make([]byte, 4096)...))
		s.patch(92, 0, 0, 0, 0)
		s.refused(codeCorrupt, "app.db", "never used")
	}},
	{row: 13, name: "every byte of page 1 flipped", try: flippedPage1},
	{row: 16, name: "index missing rows", try: func(s *scene) {
		s.hidden = true
		s.SQLite(s.db, rowsSQL(500), hideIndex, "INSERT INTO t(v) SELECT v FROM t LIMIT 10;", showIndex)
		s.refused(codeCorrupt, "app.db", "wrong # of entries in index tv")
	}},
	{row: 17, name: "duplicate in UNIQUE", try: func(s *scene) {
		s.hidden = true
		s.SQLite(s.db, strings.Replace(rowsSQL(500), "CREATE INDEX", "CREATE UNIQUE INDEX", 1), hideIndex,
			"UPDATE t SET v = (SELECT v FROM t WHERE id = 1) WHERE id = 2;", showIndex)
		s.try(trial{}).hasQuickRows(500) // quick_check does not see it, and the README says so
		s.refusedBy([]string{"--check", "full"}, codeCorrupt, "app.db", "tv")
	}},
	{row: 18, name: "FTS5 shadow damage", try: func(s *scene) {
		s.hidden = true
		s.SQLite(s.db, "CREATE VIRTUAL TABLE f USING fts5(v); INSERT INTO f VALUES('hello world'),('good bye');",
			"UPDATE f_data SET block = x'00000000ff' WHERE id > 10;")
		s.refused(codeCorrupt, "app.db")
	}},
	{row: 19, name: "RTREE or FTS4 damage", try: func(s *scene) {
		s.hidden = true
		s.SQLite(s.db, "CREATE VIRTUAL TABLE r USING rtree(id,a,b); INSERT INTO r VALUES(1,0,1),(2,3,4),(3,5,6);",
			"DELETE FROM r_rowid WHERE rowid = 2;")
		s.refused(codeCorrupt, "app.db")
		s.Check(os.Remove(s.db))
		s.SQLite(s.db, "CREATE VIRTUAL TABLE f USING fts4(v); INSERT INTO f VALUES('hello world'),('good bye');",
			"UPDATE f_segdir SET root = x'00ff00ff';")
		s.refused(codeCorrupt, "app.db")
	}},
	{row: 20, name: "unknown collation in index", try: func(s *scene) {
		s.driver(func(c *sqlite3.SQLiteConn) error { return c.RegisterCollation("LOCALIZED", strings.Compare) },
			"CREATE TABLE t(v TEXT)", "INSERT INTO t VALUES('a'),('b')", "CREATE INDEX i ON t(v COLLATE LOCALIZED)")
		s.checkedAs("structural", "no such collation sequence")
		s.refusedBy([]string{"--check", "quick"}, codeCorrupt, "app.db", "LOCALIZED")
	}},
	{row: 21, name: "unknown function in index", try: func(s *scene) {
		s.driver(func(c *sqlite3.SQLiteConn) error {
			return c.RegisterFunc("myf", func(s string) string { return s }, true)
		}, "CREATE TABLE t(v TEXT)", "INSERT INTO t VALUES('a'),('b')", "CREATE INDEX i ON t(myf(v))")
		s.checkedAs("quick", "")
		s.try(trial{args: []string{"backup", "--check", "quick", s.db, "-"}})
		s.refusedBy([]string{"--check", "full"}, codeCorrupt, "app.db", "myf")
	}},
	{row: 22, name: "unknown FTS tokenizer", try: func(s *scene) {
		s.SQLite(s.db, rowsSQL(20), "CREATE VIRTUAL TABLE f USING fts4(v); INSERT INTO f VALUES('hello');",
			"PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql='CREATE VIRTUAL TABLE f USING fts4(v, "+
				"tokenize=icu)' WHERE name='f';")
		s.checkedAs("structural", "unknown tokenizer")
		for _, level := range []string{"quick", "full"} {
			s.refusedBy([]string{"--check", level}, codeCorrupt, "app.db", "tokenizer")
		}
	}},
	{row: 23, name: "unparsable schema row", try: func(s *scene) {
		s.SQLite(s.db, rowsSQL(20),
			"PRAGMA writable_schema=ON; INSERT INTO sqlite_schema VALUES('table','x','x',2,'CREATE GARBAGE');")
		s.refused(codeCorrupt, "app.db", "malformed database schema (x)")
	}},
	{row: 24, name: "CHECK bomb", try: func(s *scene) {
		s.SQLite(s.db, "CREATE TABLE t(v); INSERT INTO t VALUES(1);",
			"PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql='CREATE TABLE t(v, "+
				"CHECK(length(hex(zeroblob(400000000)))>0))';")
		for _, level := range []string{"auto", "full"} {
			s.try(trial{args: []string{"backup", "--check", level, s.db, "-"}, weigh: true}).modest(2*time.Second, 100)
		}
	}},
	{row: 25, name: "SQLCipher file", try: func(s *scene) {
		s.Write(s.db, randomBytes(16*4096))
		s.refused(codeSource, "app.db", "encrypted?")
	}},
	{row: 26, name: "clear-header cipher", try: func(s *scene) {
		s.rollback()
		data := s.Read(s.db)
		s.Write(s.db, append(data[:32:32], randomBytes(len(data)-32)...))
		s.refusedAs([]int{codeSource, codeCorrupt}, "app.db")
	}},
	{row: 27, name: "future format", try: func(s *scene) {
		s.rollback()
		s.patch(18, 3, 3)
		s.refused(codeSource, "app.db", "file format 3")
	}},
	{row: 28, name: "20 GB sparse with matching header", try: func(s *scene) {
		s.rollback()
		const size = 20 << 30
		s.Check(os.Truncate(s.db, size))
		s.patch(28, 0, size>>12>>16, size>>12>>8&0xff, size>>12&0xff)
		before := s.sketch()
		s.try(trial{under: s.mounted("mount -t tmpfs -o size=64m none " + s.Temp), moves: true, codes: []int{codeSpace},
			says: []string{s.Temp, "20 GiB needed"}, weigh: true}).modest(2*time.Second, 100)
		s.stillLooks(before)
	}},
	{row: 29, name: "over 1 GiB, 64 KiB pages", try: hugeSource},
	{row: 30, name: "page sizes, reserved bytes, auto_vacuum, UTF-16", try: shapes},
	{row: 31, name: "odd file names", try: oddlyNamed},
	{row: 32, name: "URI or memory as path", try: func(s *scene) {
		for _, name := range []string{"file:x?mode=rwc", ":memory:", "file::memory:?cache=shared",
			"file:///etc/passwd"} {
			s.try(trial{dir: s.source, args: []string{"backup", name, "-"}, codes: []int{codeSource},
				says: []string{name, "no such file"}})
		}
	}},
	{row: 33, name: "hardlinked source", try: func(s *scene) {
		s.rollback()
		s.Check(os.Link(s.db, s.db+".link"))
		o := s.try(trial{})
		o.hasRows(500)
		o.warns("2 hard links")
	}},
	{row: 34, name: "symlinked source with a live WAL at the target", try: func(s *scene) {
		s.wal()
		s.Open(s.db, moreRows)
		link := filepath.Join(s.Root, "link.db")
		s.Check(os.Symlink(s.db, link))
		s.try(trial{args: []string{"backup", link, "-"}}).hasRows(600)
	}},
}

// An index that is missing in the schema is not kept up to date.
const (
	hideIndex = `CREATE TEMP TABLE hidden AS SELECT * FROM sqlite_schema WHERE name='tv'; PRAGMA writable_schema=ON;
DELETE FROM sqlite_schema WHERE name='tv'; PRAGMA writable_schema=RESET;`
	showIndex = `PRAGMA writable_schema=ON; INSERT INTO sqlite_schema SELECT * FROM hidden;`
)
