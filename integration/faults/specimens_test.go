package faults

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/mattn/go-sqlite3"
)

// A specimen is a database made to do harm.
type specimen struct {
	name string
	data []byte
	wal  []byte // none if nil
}

// hostileBases are small databases of all sorts, with much in few pages.
func hostileBases(s *scene) map[string][]byte {
	const rows = `CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT NOT NULL, b BLOB); CREATE INDEX tv ON t(v);
CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
CREATE VIEW vw AS SELECT v FROM t; CREATE TRIGGER tr AFTER DELETE ON t BEGIN SELECT 1; END;
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<40)
INSERT INTO t SELECT i, 'row ' || i, zeroblob(i*40) FROM c;
INSERT INTO w SELECT v, id FROM t; DELETE FROM t WHERE id % 4 = 0;`
	all := map[string][]byte{}
	for name, setup := range map[string]string{
		"plain":       "PRAGMA page_size=512;" + rows,
		"wal":         "PRAGMA page_size=512; PRAGMA journal_mode=WAL;" + rows,
		"auto_vacuum": "PRAGMA page_size=512; PRAGMA auto_vacuum=1;" + rows,
		"UTF-16":      "PRAGMA page_size=1024; PRAGMA encoding='UTF-16le'; PRAGMA auto_vacuum=2;" + rows,
		"virtual": `PRAGMA page_size=512; CREATE VIRTUAL TABLE f USING fts5(v);
INSERT INTO f VALUES('hello world'),('good bye'),('hello again');
CREATE VIRTUAL TABLE g USING fts4(v); INSERT INTO g VALUES('hello world'),('good bye');
CREATE VIRTUAL TABLE r USING rtree(id,a,b); INSERT INTO r VALUES(1,0,1),(2,3,4),(3,5,6);`,
	} {
		db := filepath.Join(s.Root, name)
		s.SQLite(db, setup)
		all[name] = s.Read(db)
	}
	return all
}

// specimens returns the whole collection, the same every time.
func specimens(s *scene) (all []specimen) {
	bases := hostileBases(s)
	random := rand.New(rand.NewPCG(1, 2))
	names := make([]string, 0, len(bases))
	for name := range bases {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		base := bases[name]
		add := func(what string, data []byte) { all = append(all, specimen{name: name + ": " + what, data: data}) }
		all = append(all, changedPage1(name, base)...)
		damagePages(base, pageSizeOf(base), add)
		for range 400 {
			data := bytes.Clone(base)
			for range 1 + random.IntN(4) {
				data[random.IntN(len(data))] ^= byte(1 + random.IntN(255))
			}
			add("random", data)
		}
		all = append(all, editedSchemas(s, name)...)
	}
	return append(all, damagedWALs(s)...)
}

func pageSizeOf(db []byte) int { return int(db[16])<<8 | int(db[17]) }

// changedPage1 changes every byte of the first page, one at a time.
func changedPage1(name string, base []byte) (all []specimen) {
	for i := range pageSizeOf(base) {
		for _, b := range []byte{base[i] ^ 1, base[i] ^ 0xff, 0, 0xff} {
			if b == base[i] {
				continue
			}
			data := bytes.Clone(base)
			data[i] = b
			all = append(all, specimen{name: fmt.Sprintf("%s: byte %d is %#x", name, i, b), data: data})
		}
	}
	return all
}

// damagePages zeroes, fills, swaps, cuts and appends pages, and makes loops of the freelist and the
// pointer map.
func damagePages(base []byte, size int, add func(what string, data []byte)) {
	pages := len(base) / size
	for page := range pages {
		at := page * size
		for _, fill := range []byte{0, 0xff, 0x0d, 0x05} {
			data := bytes.Clone(base)
			copy(data[at:at+size], bytes.Repeat([]byte{fill}, size))
			add(fmt.Sprintf("page %d is full of %#x", page+1, fill), data)
		}
		swapped := bytes.Clone(base)
		other := (page + 1) % pages * size
		copy(swapped[at:], base[other:other+size])
		copy(swapped[other:], base[at:at+size])
		add(fmt.Sprintf("page %d and the next swapped", page+1), swapped)
		// Its first four bytes link overflow pages and freelist trunks; what follows are pointers,
		// too.
		for _, to := range []int{0, 1, 2, page + 1, pages, pages + 1, 1<<31 - 1} {
			for _, offset := range []int{0, 4, 8} {
				data := bytes.Clone(base)
				copy(data[at+offset:], []byte{byte(to >> 24), byte(to >> 16), byte(to >> 8), byte(to)})
				add(fmt.Sprintf("page %d leads to %d at %d", page+1, to, offset), data)
			}
		}
		add(fmt.Sprintf("cut before page %d", page+1), base[:at])
		add(fmt.Sprintf("cut in page %d", page+1), base[:at+size/3])
	}
	for _, to := range []int{1, 2, 3, pages, pages + 1} { // the freelist begins at byte 32, and byte 36 counts it
		data := bytes.Clone(base)
		copy(data[32:], []byte{0, 0, 0, byte(to), 0, 0xff, 0xff, 0xff})
		add(fmt.Sprintf("freelist begins at %d", to), data)
	}
	for i := size; i < min(2*size, len(base)); i += 5 { // page 2 is the pointer map, if there is one
		for _, kind := range []byte{0, 1, 2, 3, 4, 5, 6} {
			data := bytes.Clone(base)
			copy(data[i:], []byte{kind, 0, 0, 0, byte(1 + i%pages)})
			add(fmt.Sprintf("pointer map at %d is of kind %d", i, kind), data)
		}
	}
	for _, n := range []int{1, 30, size, 10 * size} {
		add(fmt.Sprintf("%d bytes appended", n), append(bytes.Clone(base), bytes.Repeat([]byte{0xa5}, n)...))
	}
}

// editedSchemas have lies in their schema, and damage in the tables in which virtual tables keep
// their data.
func editedSchemas(s *scene, base string) (all []specimen) {
	edits := []string{}
	for _, root := range []string{"0", "1", "2", "3", "-1", "99999999", "9223372036854775807", "NULL", "'x'"} {
		edits = append(edits, "UPDATE sqlite_schema SET rootpage="+root,
			"UPDATE sqlite_schema SET rootpage="+root+" WHERE rowid=(SELECT max(rowid) FROM sqlite_schema WHERE "+
				"rootpage>0)")
	}
	for _, sql := range []string{"NULL", "''", "'CREATE GARBAGE'", "'CREATE TABLE x(a)'", "zeroblob(1000)",
		"hex(zeroblob(30000))", "'CREATE VIRTUAL TABLE x USING nothing(a)'",
		"'CREATE TABLE t(v DEFAULT (randomblob(1000000000)))'",
		"'CREATE TABLE t(v AS (hex(zeroblob(300000000))) STORED)'",
		"'CREATE TABLE t(v, CHECK(length(hex(zeroblob(400000000)))>0))'",
		"'CREATE INDEX tv ON t(hex(zeroblob(300000000)))'",
		"'CREATE VIEW vw AS WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c) SELECT count(*) FROM c'"} {
		for _, which := range []string{"", " WHERE type='table'", " WHERE type='index'", " WHERE type='view'",
			" WHERE name='t' OR name='f'"} {
			edits = append(edits, "UPDATE sqlite_schema SET sql="+sql+which)
		}
	}
	edits = append(edits, "UPDATE sqlite_schema SET name='sqlite_schema'", "UPDATE sqlite_schema SET name=NULL",
		"UPDATE sqlite_schema SET tbl_name='nothing'",
		"UPDATE sqlite_schema SET type='view' WHERE type='table'", "UPDATE sqlite_schema SET type='index'",
		"INSERT INTO sqlite_schema SELECT * FROM sqlite_schema",
		"UPDATE sqlite_schema SET rootpage=(SELECT rootpage FROM sqlite_schema WHERE name='t') WHERE name='tv'")
	for _, shadow := range []string{"f_data SET block", "f_idx SET pgno", "f_docsize SET sz", "f_content SET c0",
		"f_config SET v", "g_segdir SET root", "g_segdir SET leaves_end_block", "g_docsize SET size",
		"g_stat SET value", "r_node SET data", "r_rowid SET nodeno", "r_parent SET parentnode"} {
		for _, value := range []string{"NULL", "x''", "x'00'", "zeroblob(100)", "randomblob(60)",
			"x'ffffffffffffffffffff'", "9223372036854775807", "-1"} {
			edits = append(edits, "UPDATE "+shadow+"="+value)
		}
	}
	for _, edit := range edits {
		db := filepath.Join(s.Root, "edited")
		s.Write(db, s.Read(filepath.Join(s.Root, base)))
		// The driver is much quicker than a shell for each. Statements that fail on this base make
		// no specimen.
		c, err := (&sqlite3.SQLiteDriver{}).Open("file:" + db + "?mode=rw&_journal_mode=OFF&_writable_schema=1")
		s.Check(err)
		_, err = c.(*sqlite3.SQLiteConn).Exec("PRAGMA synchronous=OFF;"+edit, nil)
		s.Check(c.Close())
		if err == nil {
			all = append(all, specimen{name: base + ": " + edit, data: s.Read(db)})
		}
	}
	return all
}

// damagedWALs are a sound database with a WAL that is not.
func damagedWALs(s *scene) (all []specimen) {
	live := filepath.Join(s.Root, "live.db")
	s.SQLite(live, "PRAGMA page_size=512; PRAGMA journal_mode=WAL;", rowsSQL(20))
	app := s.Open(live, "INSERT INTO t(v) SELECT v FROM t;", "DELETE FROM t WHERE id > 30;")
	base, wal := s.Read(live), s.Read(live+"-wal")
	app.Kill()
	for i := range wal {
		if i >= 200 && i%37 != 0 {
			continue
		}
		data := bytes.Clone(wal)
		data[i] ^= 0x41
		all = append(all, specimen{fmt.Sprintf("WAL byte %d changed", i), base, data},
			specimen{fmt.Sprintf("WAL cut at %d", i), base, wal[:i]})
	}
	return append(all, specimen{"garbage for a WAL", base, randomBytes(5000)}, specimen{"garbage with a WAL",
		randomBytes(5000), wal}, specimen{"short with a WAL", base[:700], wal})
}

// place puts the specimen where a database would be that was last written long ago.
func (job specimen) place(db string) error {
	if err := os.WriteFile(db, job.data, 0o600); err != nil {
		return err
	}
	old := time.Now().Add(-time.Hour)
	os.Remove(db + "-wal")
	if job.wal != nil {
		if err := os.WriteFile(db+"-wal", job.wal, 0o600); err != nil {
			return err
		}
		if err := os.Chtimes(db+"-wal", old, old); err != nil {
			return err
		}
	}
	return os.Chtimes(db, old, old)
}
