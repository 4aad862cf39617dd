package engine

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// FuzzDatabase takes a snapshot of arbitrary bytes in place of a database, with a WAL or without:
// within two seconds it is refused, or the copy is undamaged; and a refusal is predicted only if
// there is one.
func FuzzDatabase(f *testing.F) {
	for _, setup := range []string{
		"PRAGMA page_size=512;" + fill(20),
		"PRAGMA page_size=512; PRAGMA journal_mode=WAL; PRAGMA auto_vacuum=1;" + fill(20),
		"PRAGMA page_size=1024; CREATE VIRTUAL TABLE f USING fts5(v); INSERT INTO f VALUES('hello world'); CREATE " +
			"VIRTUAL TABLE r USING rtree(id,a,b); INSERT INTO r VALUES(1,2,3);",
	} {
		db := filepath.Join(f.TempDir(), "seed.db")
		sqlite(f, db, setup)
		f.Add(readFile(f, db), []byte{})
	}
	live := newWAL(f)
	open(f, live, addRows)
	f.Add(readFile(f, live), readFile(f, live+"-wal"))
	refused := []Kind{KindNotDatabase, KindUnreadable, KindHotJournal, KindCorrupt, KindCheckIncomplete, KindNoSpace}
	f.Fuzz(func(t *testing.T, data, wal []byte) {
		db, old := filepath.Join(t.TempDir(), "app.db"), time.Now().Add(-time.Hour)
		for name, content := range map[string][]byte{db: data, db + "-wal": wal} {
			if len(content) == 0 && name != db {
				continue
			}
			writeFile(t, name, content)
			os.Chtimes(name, old, old) // what was written just now cannot be guarded
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		begin := time.Now()
		p, _ := Predict(ctx, db, SnapshotOptions{TempDir: t.TempDir()})
		s, err := TakeSnapshot(ctx, db, SnapshotOptions{TempDir: t.TempDir(), BusyTimeout: -1})
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
		var known *Error
		switch {
		case err == nil:
			defer s.Close()
			if n, err := io.Copy(io.Discard, s); err != nil || n != s.Size() || n == 0 {
				t.Errorf("read %d bytes of %d: %v", n, s.Size(), err)
			}
			if p.Err != nil || p.Size != s.Size() {
				t.Errorf("predicted %d bytes, and %v, of a snapshot of %d", p.Size, p.Err, s.Size())
			}
		case !errors.As(err, &known) || !slices.Contains(refused, known.Kind):
			t.Errorf("refused for the wrong reason: %v", err)
		}
	})
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
