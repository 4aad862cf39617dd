package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"
)

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

// A reader of an old snapshot stops a checkpoint before its end; how far it has got is in the -shm.
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

// Inspections beside a writer whose WAL restarts all the time: no error, and each sees the same
// commit as the one before or a later one.
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

// keepWriting has another process commit, one user_version after the other, until the returned
// function is called.
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

// TestInspectNewestVersion: whether there is the WAL-reset bug depends on the newest commit, not on
// the older one in the main file.
func TestInspectNewestVersion(t *testing.T) {
	var bugs []bool
	for _, version := range []uint32{3040001, 3050007} { // with the bug, and without
		db := walDatabase(t)
		patch(96, binary.BigEndian.AppendUint32(nil, version)...)(t, db)
		open(t, db, "PRAGMA wal_autocheckpoint=0; CREATE TABLE u(x);")
		bugs = append(bugs, inspect(t, db).WALResetBug)
	}
	if bugs[0] != bugs[1] {
		t.Errorf("%v, although the same version has written last", bugs)
	}
}
