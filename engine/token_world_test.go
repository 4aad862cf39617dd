package engine

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

func (w *tokenWorld) pick(of ...string) string { return of[w.rng.IntN(len(of))] }

// try runs statements in an application, which it opens if necessary, and reports whether all
// succeeded.
func (w *tokenWorld) try(i int, statements ...string) bool {
	w.t.Helper()
	if !w.open[i] {
		begin := []string{".open " + w.db, "PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=20;"}
		statements = append(begin, statements...)
		w.open[i] = true
	}
	out, err := w.apps[i].Try(statements...)
	if err != nil {
		w.t.Fatalf("seed %d: %v", w.seed, err)
	}
	if strings.Contains(out, "malformed") {
		// Once in 100,000 steps SQLite 3.40 uses a stale page cache after a change of the journal
		// mode, while the file is whole.
		w.crash(i)
		w.replace()
	}
	return !strings.Contains(out, "rror")
}

func (w *tokenWorld) insert() string {
	rows, size := 1+w.rng.IntN(3), w.rng.IntN(200)
	if w.rng.IntN(20) == 0 {
		rows, size = 1+w.rng.IntN(40), w.rng.IntN(20000)
	}
	return fmt.Sprintf(`WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<%d)
INSERT INTO t(v) SELECT randomblob(%d) FROM c;`, rows, size)
}

// commit commits, unless another application holds a lock.
func (w *tokenWorld) commit(i int) {
	if w.try(i, w.insert()) {
		w.committed()
	}
}

func (w *tokenWorld) committed() {
	w.version++
	w.commits++
}

// transaction takes two steps: tokens are taken between them, and the other application is locked
// out.
func (w *tokenWorld) transaction(i int) {
	if !w.try(i, "BEGIN IMMEDIATE;") {
		return
	}
	w.try(i, w.insert(), w.pick("", "PRAGMA cache_spill=1; PRAGMA cache_size=1;"), w.insert())
	w.observe()
	w.look()
	w.pass()
	if w.rng.IntN(2) == 0 && w.try(i, "COMMIT;") {
		w.committed()
	}
	w.try(i, "ROLLBACK;")
}

// close closes an application's connection: the last one checkpoints the WAL.
func (w *tokenWorld) close(i int) {
	if _, err := w.apps[i].Try(".open :memory:"); err != nil {
		w.t.Fatal(err)
	}
	w.open[i] = false
}

func (w *tokenWorld) closeAll() {
	for i := range w.apps {
		w.close(i)
	}
}

// crash kills an application; the next to open the database recovers it.
func (w *tokenWorld) crash(i int) {
	w.apps[i].Kill()
	w.apps[i], w.open[i] = open(w.t, ":memory:"), false
}

// image returns a database unlike every other one.
func (w *tokenWorld) image() []byte {
	w.committed()
	image := slices.Clone(w.images[w.rng.IntN(2)])
	binary.BigEndian.PutUint32(image[60:], w.version) // user_version
	return image
}

func (w *tokenWorld) replace() {
	w.closeAll()
	w.write(w.db+".new", w.image())
	w.removeSides(w.db)
	if err := os.Rename(w.db+".new", w.db); err != nil {
		w.t.Fatal(err)
	}
}

// restoreOver writes another database into the same file, as cp does, and sets its times back, as
// rsync does.
func (w *tokenWorld) restoreOver() {
	w.closeAll()
	w.removeSides(w.db)
	w.write(w.db, w.image())
	if err := os.Chtimes(w.db, time.Unix(1e9, 0), time.Unix(1e9, 0)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *tokenWorld) write(path string, data []byte) {
	if err := os.WriteFile(path, data, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *tokenWorld) removeSides(db string) {
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		os.Remove(db + suffix)
	}
}

// throughLink commits under another name of the database, so that its -wal has that name, too.
func (w *tokenWorld) throughLink() {
	w.closeAll()
	if size(w.db+"-journal") > 0 || size(w.db+"-wal") > 0 {
		return // what a crash left belongs to the first name
	}
	link := w.db + ".link"
	if err := os.Link(w.db, link); err != nil {
		w.t.Fatal(err)
	}
	w.look()
	if _, err := w.apps[0].Try(".open "+link, w.insert()); err != nil {
		w.t.Fatal(err)
	}
	w.committed()
	w.observe()
	w.look()
	w.close(0)
	w.removeSides(link)
	if err := os.Remove(link); err != nil {
		w.t.Fatal(err)
	}
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return -1
	}
	return info.Size()
}
