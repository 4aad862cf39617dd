package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"
)

// inspect inspects db and holds it to what every inspection promises: nothing has changed, and it
// was quick.
func inspect(t *testing.T, db string) Inspection {
	t.Helper()
	before := testkit.TakePicture(t, filepath.Dir(db))
	in, err := Inspect(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	before.MustMatch(t, filepath.Dir(db))
	return in
}

// A fixture makes a database in some state and returns its path.
type fixture func(t *testing.T) string

func walDatabase(t *testing.T) string {
	db := filepath.Join(t.TempDir(), "app.db")
	sqlite(t, db, "PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES(zeroblob(20000));")
	return db
}

func rollbackDatabase(t *testing.T) string {
	db := filepath.Join(t.TempDir(), "app.db")
	sqlite(t, db, "CREATE TABLE t(x); INSERT INTO t VALUES(zeroblob(20000));")
	return db
}

// liveWAL has a connection, and three frames of which none is checkpointed.
func liveWAL(t *testing.T) string {
	db := walDatabase(t)
	open(t, db, "PRAGMA wal_autocheckpoint=0; CREATE TABLE u(x); INSERT INTO u VALUES(1);")
	return db
}

// spilled has a transaction under way that has reached the main file.
func spilled(t *testing.T) string {
	db := rollbackDatabase(t)
	open(t, db, "PRAGMA cache_size=1; PRAGMA cache_spill=1; BEGIN; INSERT INTO t VALUES(zeroblob(500000));")
	return db
}

// forecastOf is the word for a way to read a database.
func forecastOf(how access) Forecast {
	return [...]Forecast{ForecastReadOnly, ForecastSharedMemory, ForecastImmutable, ForecastPrivateCopy,
		ForecastRefused}[how]
}

func TestInspectStates(t *testing.T) {
	cases := []struct {
		name    string
		fixture fixture
		mode    string
		wal     string // exists, committed frames, uncheckpointed frames
		shm     bool
		journal Journal
		held    InUse
		backup  string // begins so
	}{
		{"WAL, closed", walDatabase, "wal", "false 0 0", false, JournalNone, InUseNo,
			"reads without locks: no process"},
		{"WAL, live", liveWAL, "wal", "true 3 3", true, JournalNone, InUseYes, "reads the WAL"},
		{"WAL, live, checkpointed", func(t *testing.T) string {
			db := liveWAL(t)
			sqlite(t, db, "PRAGMA wal_checkpoint(PASSIVE);")
			return db
		}, "wal", "true 3 0", true, JournalNone, InUseYes, "reads the WAL"},
		{"WAL, live, truncated", func(t *testing.T) string {
			db := liveWAL(t)
			sqlite(t, db, "PRAGMA wal_checkpoint(TRUNCATE);")
			return db
		}, "wal", "true 0 0", true, JournalNone, InUseYes, "reads the WAL"},
		{"WAL, crashed", func(t *testing.T) string { return copyDatabase(t, liveWAL(t), "-wal", "-shm") },
			"wal", "true 3 3", true, JournalNone, InUseNo, "reads the WAL"},
		{"WAL, crashed, no -shm", func(t *testing.T) string { return copyDatabase(t, liveWAL(t), "-wal") },
			"wal", "true 3 3", false, JournalNone, InUseNo, "copies the database and its WAL first"},
		{"WAL, -shm of another log", func(t *testing.T) string {
			db := copyDatabase(t, liveWAL(t), "-wal")
			another := liveWAL(t)
			sqlite(t, another, "PRAGMA wal_checkpoint(PASSIVE);")
			other, err := os.ReadFile(another + "-shm")
			if err != nil {
				t.Fatal(err)
			}
			write(t, db+"-shm", other)
			return db
		}, "wal", "true 3 3", true, JournalNone, InUseNo, "reads the WAL"},
		{"WAL, garbage log", func(t *testing.T) string {
			db := walDatabase(t)
			write(t, db+"-wal", noise(50000))
			return db
		}, "wal", "true 0 0", false, JournalNone, InUseNo, "copies the database and its WAL first"},
		{"WAL, empty log", func(t *testing.T) string {
			db := walDatabase(t)
			write(t, db+"-wal", nil)
			return db
		}, "wal", "true 0 0", false, JournalNone, InUseNo, "reads without locks"},
		{"WAL, exclusive", func(t *testing.T) string {
			db := walDatabase(t)
			open(t, db, "PRAGMA locking_mode=EXCLUSIVE; INSERT INTO t VALUES(1);")
			return db
		}, "wal", "true 1 1", false, JournalNone, InUseYes, "waits"},
		{"rollback, closed", rollbackDatabase, "delete", "false 0 0", false, JournalNone, InUseUnknown,
			"reads the database"},
		{"rollback, idle connection", func(t *testing.T) string {
			db := rollbackDatabase(t)
			open(t, db, "SELECT count(*) FROM t;")
			return db
		}, "delete", "false 0 0", false, JournalNone, InUseUnknown, "reads the database"},
		{"rollback, reader", func(t *testing.T) string {
			db := rollbackDatabase(t)
			open(t, db, "BEGIN; SELECT count(*) FROM t;")
			return db
		}, "delete", "false 0 0", false, JournalNone, InUseYes, "reads the database"},
		{"rollback, writer", func(t *testing.T) string {
			db := rollbackDatabase(t)
			open(t, db, "BEGIN IMMEDIATE;")
			return db
		}, "delete", "false 0 0", false, JournalNone, InUseYes, "reads the database"},
		{"rollback, writer that has spilled", spilled, "delete", "false 0 0", false, JournalPresent, InUseYes, "waits"},
		{"rollback, exclusive", func(t *testing.T) string {
			db := rollbackDatabase(t)
			open(t, db, "BEGIN EXCLUSIVE;")
			return db
		}, "delete", "false 0 0", false, JournalNone, InUseYes, "waits"},
		{"rollback, hot journal", func(t *testing.T) string { return copyDatabase(t, spilled(t), "-journal") },
			"delete", "false 0 0", false, JournalHot, InUseUnknown, "would be refused: a crash"},
		{"rollback, PERSIST", func(t *testing.T) string {
			db := rollbackDatabase(t)
			sqlite(t, db, "PRAGMA journal_mode=PERSIST; INSERT INTO t VALUES(1);")
			return db
		}, "delete", "false 0 0", false, JournalZeroed, InUseUnknown, "reads the database"},
		{"rollback, TRUNCATE", func(t *testing.T) string {
			db := rollbackDatabase(t)
			sqlite(t, db, "PRAGMA journal_mode=TRUNCATE; INSERT INTO t VALUES(1);")
			return db
		}, "delete", "false 0 0", false, JournalEmpty, InUseUnknown, "reads the database"},
		{"rollback, stray log", func(t *testing.T) string {
			db := rollbackDatabase(t)
			write(t, db+"-wal", noise(50000))
			return db
		}, "wal", "true 0 0", false, JournalNone, InUseNo, "copies the database and its WAL first"},
		{"rollback, FIFO for a journal", func(t *testing.T) string {
			db := rollbackDatabase(t)
			if err := syscall.Mkfifo(db+"-journal", 0o600); err != nil {
				t.Fatal(err)
			}
			return db
		}, "delete", "false 0 0", false, JournalUnknown, InUseUnknown, "would be refused"},
		{"WAL, FIFO for a -shm", func(t *testing.T) string {
			db := copyDatabase(t, liveWAL(t), "-wal")
			if err := syscall.Mkfifo(db+"-shm", 0o600); err != nil {
				t.Fatal(err)
			}
			return db
		}, "wal", "true 3 3", true, JournalNone, InUseUnknown, "would be refused"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := inspect(t, c.fixture(t))
			wal := fmt.Sprint(in.WAL.Exists, in.WAL.CommittedFrames, in.WAL.UncheckpointedFrames)
			if in.JournalMode != c.mode || wal != c.wal || in.ShmExists != c.shm || in.Journal != c.journal ||
				in.InUse != c.held {
				t.Errorf("mode %s, WAL %s, -shm %v, journal %s, held %s\nwant %s, WAL %s, -shm %v, journal %s, held %s",
					in.JournalMode, wal, in.ShmExists, in.Journal, in.InUse, c.mode, c.wal, c.shm, c.journal, c.held)
			}
			if !strings.HasPrefix(in.BackupDetail, c.backup) {
				t.Errorf("a backup %s: %q, want %q", in.Backup, in.BackupDetail, c.backup)
			}
			comesTrue(t, in.Path)
		})
	}
}

// The race that a look at journal, locks, journal has to stand.
func TestJudgeJournal(t *testing.T) {
	present := func(nonce byte) func() (sqlitefile.JournalHeader, Journal) {
		return func() (sqlitefile.JournalHeader, Journal) {
			return sqlitefile.JournalHeader{0: 0xd9, 12: nonce}, JournalPresent
		}
	}
	gone := func() (sqlitefile.JournalHeader, Journal) { return sqlitefile.JournalHeader{}, JournalNone }
	cases := []struct {
		name          string
		first, second func() (sqlitefile.JournalHeader, Journal)
		quiet         bool
		want          Journal
	}{
		{"none", gone, present(1), true, JournalNone},
		{"a transaction", present(1), present(1), false, JournalPresent},
		{"a transaction that ends", present(1), gone, true, JournalNone},
		{"a transaction that ends, and another", present(1), present(2), true, JournalPresent},
		{"a crash", present(1), present(1), true, JournalHot},
	}
	for _, c := range cases {
		reads := []func() (sqlitefile.JournalHeader, Journal){c.first, c.second}
		read := func() (sqlitefile.JournalHeader, Journal) {
			next := reads[0]
			reads = reads[1:]
			return next()
		}
		if got := judgeJournal(read, func() bool { return c.quiet }); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// SQLite's own word on the states whose names the inspection made up.
func TestInspectAgreesOnHotAndMode(t *testing.T) {
	hot := copyDatabase(t, spilled(t), "-journal")
	out, err := trySQLite("file:"+hot+"?mode=ro", "SELECT count(*) FROM t;")
	if err == nil || !strings.Contains(out, "readonly") {
		t.Errorf("the fixture's journal is not hot: %v, %s", err, out)
	}
	stray := rollbackDatabase(t)
	write(t, stray+"-wal", noise(50000))
	if mode := sqlite(t, stray, "PRAGMA journal_mode;"); mode != "wal" {
		t.Errorf("with a stray log SQLite says %s", mode)
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func TestInspectNotADatabase(t *testing.T) {
	cases := []struct {
		name string
		make func(path string) error
		kind Kind
		says string
	}{
		{"missing", func(string) error { return nil }, KindMissing, "no such file"},
		{"dangling symlink", func(path string) error { return os.Symlink("nowhere", path) }, KindMissing,
			"no such file"},
		{"directory", func(path string) error { return os.Mkdir(path, 0o700) }, KindNotDatabase, "directory"},
		{"FIFO", func(path string) error { return syscall.Mkfifo(path, 0o600) }, KindNotDatabase, "not a regular file"},
		{"device", func(path string) error { return os.Symlink("/dev/null", path) }, KindNotDatabase,
			"not a regular file"},
		{"socket", func(path string) error {
			listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err == nil {
				listener.SetUnlinkOnClose(false)
				listener.Close()
			}
			return err
		}, KindNotDatabase, "not a regular file"},
		{"empty", func(path string) error { return os.WriteFile(path, nil, 0o600) }, KindNotDatabase, "empty file"},
		{"text", func(path string) error { return os.WriteFile(path, []byte("hi\n"), 0o600) }, KindNotDatabase,
			"not a SQLite database"},
		{"magic only", func(path string) error { return os.WriteFile(path, []byte(sqlitefile.HeaderMagic), 0o600) },
			KindNotDatabase, "not a SQLite database"},
		{"random", func(path string) error { return os.WriteFile(path, noise(8192), 0o600) }, KindNotDatabase,
			"encrypted?"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			if err := c.make(path); err != nil {
				t.Fatal(err)
			}
			before := testkit.TakePicture(t, filepath.Dir(path))
			_, err := Inspect(t.Context(), path)
			before.MustMatch(t, filepath.Dir(path))
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want of kind %s and to say %q", err, c.kind, c.says)
			}
		})
	}
}

// A -wal that cannot be read may hold the newest commit: there is no answer then, rather than an
// old one.
func TestInspectUnreadableWAL(t *testing.T) {
	db := walDatabase(t)
	if err := os.Mkdir(db+"-wal", 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := Inspect(t.Context(), db)
	if !errors.Is(err, KindUnreadable) || !strings.Contains(err.Error(), "app.db-wal") {
		t.Errorf("error %v, want unreadable and the name of the -wal", err)
	}
}

func TestInspectCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Inspect(ctx, liveWAL(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want canceled", err)
	}
}

// Everything the header says, for every page size, encoding and vacuum mode, from the main file and
// from the WAL.
func TestInspectMatchesPragmas(t *testing.T) {
	encodings := []string{"UTF-8", "UTF-16le", "UTF-16be"}
	vacuums := []string{"none", "full", "incremental"}
	for i, pageSize := 0, sqlitefile.MinPageSize; pageSize <= sqlitefile.MaxPageSize; i, pageSize = i+1, pageSize*2 {
		for _, mode := range []string{"WAL", "DELETE"} {
			t.Run(fmt.Sprintf("%d/%s", pageSize, mode), func(t *testing.T) {
				t.Parallel()
				db := filepath.Join(t.TempDir(), "a.db")
				vacuum := vacuums[i/2%3]
				live := open(t, db,
					fmt.Sprintf("PRAGMA page_size=%d; PRAGMA encoding='%s'; PRAGMA auto_vacuum=%s; PRAGMA "+
						"journal_mode=%s;",
						pageSize, encodings[i%3], vacuum, mode),
					"PRAGMA wal_autocheckpoint=0; CREATE TABLE t(x); INSERT INTO t VALUES(1);")
				comparePragmas(t, live, db)
				live.run("INSERT INTO t VALUES(zeroblob(900000)); CREATE TABLE u(x); PRAGMA user_version=-7; PRAGMA " +
					"application_id=1234567;")
				comparePragmas(t, live, db)
				live.run("DELETE FROM t;")
				comparePragmas(t, live, db)
				live.run("PRAGMA wal_checkpoint(PASSIVE); INSERT INTO t VALUES(zeroblob(100000));")
				in := comparePragmas(t, live, db)
				if in.AutoVacuum != vacuum {
					t.Errorf("auto_vacuum %s, want %s", in.AutoVacuum, vacuum)
				}
				if mode == "WAL" && in.WAL.Frames <= in.WAL.CommittedFrames {
					t.Errorf("%d frames, %d committed: the log has not started over", in.WAL.Frames,
						in.WAL.CommittedFrames)
				}
				live.Close()
				comparePragmas(t, open(t, copyDatabase(t, db)), db)
			})
		}
	}
}

func comparePragmas(t *testing.T, live application, db string) Inspection {
	t.Helper()
	in := inspect(t, db)
	got := fmt.Sprint(in.JournalMode, in.PageSize, in.PageCount, in.FreelistCount, in.Encoding,
		in.SchemaCookie, in.UserVersion, in.ApplicationID)
	pragmas := []string{"journal_mode", "page_size", "page_count", "freelist_count", "encoding",
		"schema_version", "user_version", "application_id"}
	want := make([]any, len(pragmas))
	for i, pragma := range pragmas {
		answer := live.run("PRAGMA " + pragma + ";")
		if n, err := strconv.Atoi(answer); err == nil {
			want[i] = n
		} else {
			want[i] = answer
		}
	}
	if got != fmt.Sprint(want...) {
		t.Errorf("inspection %v\nSQLite     %v", got, fmt.Sprint(want...))
	}
	if version := live.run("SELECT sqlite_version();"); in.SQLiteVersion != version {
		t.Errorf("written by SQLite %s, want %s", in.SQLiteVersion, version)
	}
	return in
}

// A reader that stays on an old snapshot keeps a checkpoint from going on; what it has done is in
// the -shm.
func TestInspectPartlyCheckpointed(t *testing.T) {
	db := walDatabase(t)
	writer := open(t, db, "PRAGMA wal_autocheckpoint=0;")
	for i := range 10 {
		writer.run(fmt.Sprintf("INSERT INTO t VALUES(%d);", i))
	}
	reader := open(t, db, "BEGIN; SELECT count(*) FROM t;")
	writer.run("CREATE TABLE u(x); CREATE TABLE v(x);")
	for _, then := range []string{"COMMIT;", "SELECT 1;"} {
		result := strings.Split(writer.run("PRAGMA wal_checkpoint(PASSIVE);"), "|")
		in := inspect(t, db)
		frames, _ := strconv.ParseInt(result[1], 10, 64)
		done, _ := strconv.ParseInt(result[2], 10, 64)
		if in.WAL.CommittedFrames != frames || in.WAL.UncheckpointedFrames != frames-done {
			t.Errorf("%d committed, %d not checkpointed; SQLite says %v", in.WAL.CommittedFrames,
				in.WAL.UncheckpointedFrames, result)
		}
		if in.WAL.UncheckpointedBytes != (frames-done)*4096 {
			t.Errorf("%d bytes not checkpointed, want %d", in.WAL.UncheckpointedBytes, (frames-done)*4096)
		}
		reader.run(then)
	}
}

// What is written but not committed does not count.
func TestInspectUncommittedFrames(t *testing.T) {
	db := liveWAL(t)
	before := inspect(t, db)
	open(t, db, "PRAGMA cache_size=1; PRAGMA cache_spill=1; BEGIN; INSERT INTO t VALUES(zeroblob(500000));")
	after := inspect(t, db)
	if after.WAL.Frames <= before.WAL.Frames {
		t.Fatal("the transaction has not spilled into the WAL")
	}
	if after.WAL.CommittedFrames != before.WAL.CommittedFrames || after.PageCount != before.PageCount {
		t.Errorf("%d frames and %d pages, want %d and %d", after.WAL.CommittedFrames, after.PageCount,
			before.WAL.CommittedFrames, before.PageCount)
	}
}

// SQLite before 3.7.0 left the header's page count alone; then the size of the file counts.
func TestInspectPageCountNotValid(t *testing.T) {
	db := rollbackDatabase(t)
	data, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	data[92]++
	write(t, db, append(data, make([]byte, 5000)...))
	in := inspect(t, db)
	if want := sqlite(t, db, "PRAGMA page_count;"); strconv.FormatInt(in.PageCount, 10) != want {
		t.Errorf("%d pages, SQLite says %s", in.PageCount, want)
	}
}

func TestInspectNamesAndOwner(t *testing.T) {
	testkit.NeedsRoot(t)
	db := walDatabase(t)
	if err := os.Chmod(db, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(db, 1234, 5678); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(db, db+" 2"); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(db, link); err != nil {
		t.Fatal(err)
	}
	open(t, db, "CREATE TABLE u(x);")
	in, err := Inspect(t.Context(), link)
	if err != nil {
		t.Fatal(err)
	}
	if in.Path != link || in.ResolvedPath != db || in.HardLinks != 2 || in.UID != 1234 || in.GID != 5678 ||
		in.Mode != 0o640 {
		t.Errorf("%+v", in)
	}
	if in.WAL.CommittedFrames != 2 {
		t.Errorf("%d committed frames beside the target of the link, want 2", in.WAL.CommittedFrames)
	}
}

// Inspections beside a writer whose log starts over all the time: no error, and time only goes
// forward.
func TestInspectBesideWriter(t *testing.T) {
	for _, mode := range []string{"WAL", "DELETE"} {
		t.Run(mode, func(t *testing.T) {
			db := filepath.Join(t.TempDir(), "a.db")
			sqlite(t, db, "PRAGMA journal_mode="+mode+"; CREATE TABLE t(x);")
			stop := keepWriting(t, db)
			last, restarts := Inspection{}, 0
			busy := func() bool { return last.UserVersion >= 10 && (mode != "WAL" || restarts > 0) }
			deadline := time.Now().Add(20 * time.Second)
			for i := 0; i < 1000 || !busy() && time.Now().Before(deadline); i++ {
				in, err := Inspect(t.Context(), db)
				if err != nil {
					t.Fatalf("inspection %d: %v", i, err)
				}
				if in.UserVersion < last.UserVersion || in.PageCount < last.PageCount ||
					in.WAL.CommittedFrames > in.WAL.Frames {
					t.Fatalf("inspection %d goes backward:\n%+v\n%+v", i, last, in)
				}
				if in.Journal == JournalHot {
					t.Fatalf("inspection %d takes a transaction for a crash", i)
				}
				if in.WAL.CommittedFrames < last.WAL.CommittedFrames {
					restarts++
				}
				last = in
			}
			stop()
			final := inspect(t, db)
			if want := sqlite(t, db, "PRAGMA user_version;"); strconv.Itoa(int(final.UserVersion)) != want {
				t.Errorf("user version %d at the end, want %s", final.UserVersion, want)
			}
			t.Logf("%d commits, %d restarts of the log were seen", final.UserVersion, restarts)
			if !busy() {
				t.Error("the writer did too little")
			}
		})
	}
}

// keepWriting has a process of its own commit, one user_version after the other, until the function
// it returns is called.
func keepWriting(t *testing.T, db string) (stop func()) {
	t.Helper()
	cmd := exec.Command(testkit.Tool(t, "sqlite3"), "-batch", "-bail", db)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	enough := make(chan struct{})
	go func() {
		defer close(ended)
		defer in.Close()
		fmt.Fprintln(in, "PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=15;")
		for i := 1; ; i++ {
			select {
			case <-enough:
				return
			default:
			}
			_, err := fmt.Fprintf(in, "BEGIN; PRAGMA user_version=%d; INSERT INTO t VALUES(zeroblob(3000)); COMMIT;\n",
				i)
			if err != nil {
				return
			}
		}
	}()
	stop = func() {
		close(enough)
		<-ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("writer: %v %s", err, stderr.String())
		}
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return stop
}

// The system calls are the proof: everything is opened for reading, nothing is locked, nothing is
// changed.
func TestInspectSystemCalls(t *testing.T) {
	if db := os.Getenv("INSPECT_UNDER_STRACE"); db != "" {
		if _, err := Inspect(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		if p, err := Predict(t.Context(), db, SnapshotOptions{}); err != nil {
			t.Fatal(p, err)
		}
		return
	}
	for name, fixture := range map[string]fixture{"live": liveWAL, "closed": walDatabase, "rollback": spilled} {
		t.Run(name, func(t *testing.T) {
			db := fixture(t)
			trace := traceInspect(t, db)
			if !strings.Contains(trace, "F_OFD_GETLK") || !strings.Contains(trace, db) {
				t.Errorf("the trace does not show the inspection:\n%s", trace)
			}
			for line := range strings.Lines(trace) {
				if bad := forbiddenCall(line, filepath.Dir(db)); bad != "" {
					t.Errorf("%s: %s", bad, line)
				}
			}
		})
	}
}

func traceInspect(t *testing.T, db string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command(testkit.Tool(t, "strace"), "-f", "-y", "-s", "300", "-o", out, "-e", "trace=%file,%desc",
		os.Args[0], "-test.run=^TestInspectSystemCalls$")
	cmd.Env = append(os.Environ(), "INSPECT_UNDER_STRACE="+db)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("strace: %v\n%s", err, output)
	}
	trace, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return testkit.WholeCalls(string(trace))
}

// forbiddenCall names what is wrong with a line of a trace, if it is about the directory at all.
func forbiddenCall(line, dir string) string {
	if !strings.Contains(line, dir) {
		return ""
	}
	for _, call := range []string{"F_SETLK", "F_OFD_SETLK", "flock(", "F_SETLEASE"} {
		if strings.Contains(line, call) {
			return "a lock"
		}
	}
	if strings.Contains(line, "openat(") && (!strings.Contains(line, "O_RDONLY") || strings.Contains(line, "O_CREAT")) {
		return "opened for writing"
	}
	for _, call := range []string{"execve(", "openat(", "close(", "fstat(", "newfstatat(", "read(", "pread64(",
		"readlink(", "readlinkat(", "statfs(",
		"fcntl(", "epoll_ctl(", "faccessat2(", "statx(", "stat(", "lstat(", "getdents64("} {
		if strings.Contains(line, call) {
			return ""
		}
	}
	return "not a call that only reads"
}

// Small databases are inspected at once. The quickest of some tries counts, for the machine may be
// busy.
func TestInspectIsQuick(t *testing.T) {
	db := liveWAL(t)
	quickest := time.Hour
	for range 10 {
		start := time.Now()
		if _, err := Inspect(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		quickest = min(quickest, time.Since(start))
	}
	if quickest > 100*time.Millisecond {
		t.Errorf("took %v", quickest)
	}
}

// As another user, on what it may not write: nothing is needed but to read.
func TestInspectReadOnlyDirectory(t *testing.T) {
	if db := os.Getenv("INSPECT_AS_NOBODY"); db != "" {
		in, err := Inspect(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("held=%s committed=%d\n", in.InUse, in.WAL.CommittedFrames)
		return
	}
	testkit.NeedsRoot(t)
	db := liveWAL(t)
	for path, mode := range map[string]os.FileMode{db: 0o644, db + "-wal": 0o644, db + "-shm": 0o600} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	for dir := filepath.Dir(db); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	before := testkit.TakePicture(t, filepath.Dir(db))
	if out := asNobody(t, db); !strings.Contains(out, "held=yes committed=3") {
		t.Errorf("with an -shm that cannot be read: %s", out)
	}
	before.MustMatch(t, filepath.Dir(db))
	if err := os.Chmod(db+"-wal", 0o600); err != nil {
		t.Fatal(err)
	}
	if out := asNobody(t, db); !strings.Contains(out, "app.db-wal: permission denied") {
		t.Errorf("with a -wal that cannot be read: %s", out)
	}
}

// asNobody runs the test again, by a copy of the test binary that this user can reach.
func asNobody(t *testing.T, db string) string {
	t.Helper()
	binary, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(filepath.Dir(filepath.Dir(db)), "engine.test")
	if err := os.WriteFile(program, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-test.run=^TestInspectReadOnlyDirectory$")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "INSPECT_AS_NOBODY="+db)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, _ := cmd.CombinedOutput()
	return string(out)
}
