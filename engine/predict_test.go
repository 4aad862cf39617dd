package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// comesTrue compares what Predict and Inspect say about a database with what a snapshot then does.
func comesTrue(t *testing.T, db string) Prediction {
	t.Helper()
	dir := filepath.Dir(db)
	before := testkit.TakePicture(t, dir)
	p, err := Predict(t.Context(), db, SnapshotOptions{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	before.MustMatch(t, dir)
	image, info, err := snapshot(t, db, SnapshotOptions{BusyTimeout: brief})
	if (p.Err == nil) != (err == nil) || p.Err != nil && alike(kindOf(p.Err)) != alike(kindOf(err)) {
		t.Errorf("predicted %v, the snapshot says %v", p.Err, err)
	}
	if err == nil && (p.Level != info.Level || p.Size != int64(len(image)) || (p.Reason == "") != (info.Reason == "")) {
		t.Errorf("predicted %d bytes, %s check (%s), there are %d, %s (%s)", p.Size,
			p.Level, p.Reason, len(image), info.Level, info.Reason)
	}
	in, inspectErr := Inspect(t.Context(), db)
	space := p.Size
	if in.Backup == ForecastPrivateCopy {
		space += in.Size + in.WAL.Size
	}
	if p.Err == nil && p.Space != space {
		t.Errorf("predicted that the copies need %d bytes, they need %d", p.Space, space)
	}
	fails := in.Backup == ForecastBusy || in.Backup == ForecastRefused
	if inspectErr == nil && fails != (err != nil) && !errors.Is(err, KindCorrupt) {
		t.Errorf("info says %s (%s), the snapshot %v", in.Backup, in.BackupDetail, err)
	}
	return p
}

func kindOf(err error) Kind {
	var known *Error
	errors.As(err, &known)
	return known.Kind
}

// alike replaces kinds that differ only in timing by one of them.
func alike(kind Kind) Kind {
	if kind == KindExclusive {
		return KindBusy
	}
	return kind
}

func TestPredictSurroundings(t *testing.T) {
	cases := []struct {
		name string
		make fixture
		code FindingCode
		says string
	}{
		{"hard links", func(t *testing.T) string {
			db := newRollback(t)
			if err := os.Link(db, db+".link"); err != nil {
				t.Fatal(err)
			}
			return db
		}, FindingHardLinks, "2 hard links"},
		{"Litestream", func(t *testing.T) string {
			db := newRollback(t)
			if err := os.Mkdir(filepath.Join(filepath.Dir(db), ".app.db-litestream"), 0o755); err != nil {
				t.Fatal(err)
			}
			return db
		}, FindingLitestream, ".app.db-litestream"},
		{"large WAL", func(t *testing.T) string {
			db := walDatabase(t)
			open(t, db, "PRAGMA wal_autocheckpoint=0;", strings.Repeat("UPDATE t SET x=randomblob(1000000);", 20))
			return db
		}, FindingLargeWAL, "not checkpointed"},
		{"large WAL that a process reads", func(t *testing.T) string {
			db := walDatabase(t)
			writer := open(t, db, "PRAGMA wal_autocheckpoint=0; UPDATE t SET x=1;")
			open(t, db, "BEGIN; SELECT count(*) FROM t;")
			writer.run(strings.Repeat("UPDATE t SET x=randomblob(1000000);", 20))
			return db
		}, FindingLargeWAL, "(sqlite3) is reading it"},
		{"WAL of larger pages", func(t *testing.T) string {
			live := filepath.Join(t.TempDir(), "live.db")
			open(t, live, "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; CREATE TABLE t(x);")
			db := newWAL(t)
			beside(t, live, db)
			return db
		}, FindingForeignWAL, "its pages have 8192 bytes"},
		{"WAL of another database", func(t *testing.T) string {
			db := newWAL(t)
			for range 5 {
				sqlite(t, db, "DELETE FROM t; VACUUM;", "PRAGMA user_version=1;")
			}
			beside(t, liveWAL(t), db)
			return db
		}, FindingForeignWAL, "the database has change"},
		{"WAL mode, SQLite with the bug", func(t *testing.T) string {
			db := newWAL(t)
			writtenBy(t, db, 3040001)
			return db
		}, FindingWALReset, "SQLite 3.40.1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p, err := Predict(t.Context(), c.make(t), SnapshotOptions{})
			found := func(f Finding) bool { return f.Code == c.code && strings.Contains(f.Evidence, c.says) }
			if err != nil || !slices.ContainsFunc(p.Findings, found) {
				t.Errorf("%+v, want a finding %s that says %q", p.Findings, c.code, c.says)
			}
		})
	}
}

// beside copies the -wal of one database beside another.
func beside(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, to+"-wal", data)
}

// writtenBy sets the version of SQLite in the header.
func writtenBy(t *testing.T, db string, version uint32) {
	t.Helper()
	data, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		data[96+i] = byte(version >> (24 - 8*i))
	}
	writeFile(t, db, data)
}

func TestWALResetBug(t *testing.T) {
	for version, want := range map[uint32]bool{
		0: false, 3006023: false, 3007000: true, 3040001: true, 3044005: true, 3044006: false, 3044007: false,
		3045000: true,
		3050006: true, 3050007: false, 3051000: true, 3051002: true, 3051003: false, 3052000: false,
	} {
		if got := hasWALResetBug(version); got != want {
			t.Errorf("%d: %v, want %v", version, got, want)
		}
	}
}

// Nothing is found in an ordinary database.
func TestPredictNothing(t *testing.T) {
	db := newWAL(t)
	writtenBy(t, db, 3051003)
	p, err := Predict(t.Context(), db, SnapshotOptions{})
	if err != nil || p.Err != nil || len(p.Findings) > 0 || p.Duration <= 0 {
		t.Errorf("%+v, %v", p, err)
	}
}

// A temporary directory that is missing, or not one.
func TestPredictTempDir(t *testing.T) {
	db := newRollback(t)
	for name, dir := range map[string]string{"missing": filepath.Join(t.TempDir(), "no"), "a file": db} {
		_, err := TakeSnapshot(t.Context(), db, SnapshotOptions{TempDir: dir})
		p, _ := Predict(t.Context(), db, SnapshotOptions{TempDir: dir})
		if err == nil || p.Err == nil || kindOf(p.Err) != kindOf(err) {
			t.Errorf("%s: predicted %v, the snapshot says %v", name, p.Err, err)
		}
	}
}

// TestReadSchema compares with what SQLite reads: rows with overflow pages and rows that just fit,
// interior pages, every encoding, pages that are only in the WAL.
func TestReadSchema(t *testing.T) {
	long := strings.Repeat("a long default that spills into overflow pages ", 400)
	for i, mode := range []string{"DELETE", "WAL", "WAL; PRAGMA wal_autocheckpoint=0"} {
		for j, shape := range []string{"", "PRAGMA page_size=512;", "PRAGMA page_size=65536;",
			"PRAGMA encoding='UTF-16le';", "PRAGMA encoding='UTF-16be'; PRAGMA page_size=1024;"} {
			db := filepath.Join(t.TempDir(), "app.db")
			script := []string{shape, "PRAGMA synchronous=OFF; PRAGMA journal_mode=" + mode + ";",
				"CREATE TABLE \u00e9(x DEFAULT '" + long + "');"}
			for n := range 50 * (1 + j) {
				script = append(script,
					fmt.Sprintf("CREATE TABLE t%d(x UNIQUE, y DEFAULT 'some text to fill pages with');", n),
					fmt.Sprintf("CREATE INDEX i%d ON t%[1]d(y);", n))
			}
			for n := range 20 { // around the largest row that a page of 512 bytes holds
				fill := strings.Repeat("x", 420+n)
				script = append(script, fmt.Sprintf("CREATE TABLE u%02d(x DEFAULT '%s');", n, fill))
			}
			shell := open(t, db, script...)
			src, err := openSource("open", db)
			if err != nil {
				t.Fatal(err)
			}
			rows, err := src.schema(t.Context())
			src.Close()
			var got []string
			for _, row := range rows {
				got = append(got, fmt.Sprintf("%s|%s|%s|%d|%s", row.Kind, row.Name, row.Table, row.Root, row.SQL))
			}
			want := shell.run("SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema;")
			if err != nil || strings.Join(got, "\n") != want {
				t.Errorf("%d %s: %v, %d rows, want those that SQLite reads", i, shape, err, len(rows))
			}
		}
	}
}

// A writer that commits without a pause is no reason to predict a failure: a backup waits for it.
func TestPredictBesideWriter(t *testing.T) {
	for _, mode := range []string{"DELETE", "WAL"} {
		db := filepath.Join(t.TempDir(), "app.db")
		sqlite(t, db, "PRAGMA journal_mode="+mode+";", "CREATE TABLE t(x);")
		stop := keepWriting(t, db)
		for range 100 {
			p, err := Predict(t.Context(), db, SnapshotOptions{})
			if err != nil || p.Err != nil {
				t.Fatalf("%s: %v, %v", mode, p.Err, err)
			}
		}
		stop()
	}
}
