package harness

import (
	"bufio"
	"database/sql/driver"
	endian "encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"
)

// writerEnv names the database that this test binary, started again, writes to.
const writerEnv = "SQLITE_CHECKPOINT_TEST_WRITER"

// pauseEnv is how long a writer rests after each commit, where many are to leave the machine something.
const PauseEnv = writerEnv + "_PAUSE"

const (
	ledgerRows  = 100
	ledgerTotal = ledgerRows * 1_000_000_000
)

// newLedger makes a small database for a writer. Each commit moves 1 from table a to table b: the sum over both never changes,
// and the sum over b is the number of commits.
func (b *Bench) NewLedger(name, mode string) string {
	b.Helper()
	b.SQLite(name, "PRAGMA journal_mode="+mode+";", fmt.Sprintf(`
CREATE TABLE a(id INTEGER PRIMARY KEY, v INTEGER, filler BLOB);
CREATE TABLE b(id INTEGER PRIMARY KEY, v INTEGER, filler BLOB);
INSERT INTO a SELECT value, %d, randomblob(300) FROM generate_series(1, %d);
INSERT INTO b SELECT id, 0, randomblob(300) FROM a;
CREATE TRIGGER move AFTER UPDATE ON a BEGIN UPDATE b SET v = v + old.v - new.v WHERE id = old.id; END;`, ledgerTotal/ledgerRows, ledgerRows))
	return b.Path(name)
}

// commits is how many a copy holds. It fails the test if the copy is not consistent.
func (b *Bench) Commits(name string) (n int) {
	b.Helper()
	answer := b.SQLite(name, "SELECT (SELECT sum(v) FROM a) + (SELECT sum(v) FROM b), (SELECT sum(v) FROM b) FROM pragma_integrity_check WHERE integrity_check = 'ok';")
	var total int
	if _, err := fmt.Sscanf(answer, "%d|%d", &total, &n); err != nil || total != ledgerTotal {
		b.Errorf("%s: %q (%v), want a sum of %d", name, answer, err, ledgerTotal)
	}
	return n
}

// A tally is what a writer has done.
type Tally struct {
	Commits    int
	Collisions int // found the database busy: any reader of a WAL, for an instant, can do that (walIndexReadHdr in SQLite)
	Busy       int // and again a millisecond later, the shortest time that an application can ask SQLite to wait
	Restarts   int // of the WAL
	Elapsed    time.Duration
}

func (t Tally) rate() float64 { return float64(t.Commits) / t.Elapsed.Seconds() }

func (t Tally) String() string {
	return fmt.Sprintf("%d commits (%.0f/s), %d WAL restarts, %d collisions, %d times BUSY", t.Commits, t.rate(), t.Restarts, t.Collisions, t.Busy)
}

// runWriter commits as fast as it can until stdin ends, waits for nobody, and prints its tally.
func runWriter(db string) error {
	opened, err := (&sqlite3.SQLiteDriver{}).Open("file:" + db + "?mode=rw&_busy_timeout=0&_synchronous=OFF")
	if err != nil {
		return err
	}
	defer opened.Close()
	conn := opened.(*sqlite3.SQLiteConn)
	if _, err := conn.Exec("PRAGMA wal_autocheckpoint=100", nil); err != nil {
		return err
	}
	move, err := conn.Prepare("UPDATE a SET v = v - 1 WHERE id = ?")
	if err != nil {
		return err
	}
	defer move.Close()
	did, err := writeUntil(inputEnds(), move.(*sqlite3.SQLiteStmt), db)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(did)
}

func inputEnds() <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		io.Copy(io.Discard, os.Stdin)
	}()
	return ended
}

func writeUntil(stop <-chan struct{}, move *sqlite3.SQLiteStmt, db string) (did Tally, err error) {
	var before uint32
	start := time.Now()
	pause, _ := time.ParseDuration(os.Getenv(PauseEnv))
	for i := int64(0); ; i++ {
		time.Sleep(pause)
		select {
		case <-stop:
			did.Elapsed = time.Since(start)
			did.Restarts = int(WALSequence(db) - before)
			return did, nil
		default:
		}
		if err := did.commit(move, i%ledgerRows+1); err != nil {
			return did, err
		}
		if i == 0 {
			before = WALSequence(db)
			fmt.Println("ready")
		}
	}
}

// commit makes one commit, or counts why not.
func (t *Tally) commit(move *sqlite3.SQLiteStmt, row int64) error {
	_, err := move.Exec([]driver.Value{row})
	if isBusy(err) {
		t.Collisions++
		time.Sleep(time.Millisecond)
		_, err = move.Exec([]driver.Value{row})
	}
	if isBusy(err) {
		t.Busy++
		return nil
	}
	if err == nil {
		t.Commits++
	}
	return err
}

func isBusy(err error) bool {
	var known sqlite3.Error
	return errors.As(err, &known) && known.Code == sqlite3.ErrBusy
}

// walSequence counts how often the WAL was started over: https://www.sqlite.org/fileformat2.html#walformat
func WALSequence(db string) uint32 {
	file, err := os.Open(db + "-wal")
	if err != nil {
		return 0
	}
	defer file.Close()
	var b [4]byte
	file.ReadAt(b[:], 12)
	return endian.BigEndian.Uint32(b[:])
}

// A writer is a process that runs runWriter.
type writer struct {
	testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// startWriter returns when its first commit is done. It ends with the test.
func StartWriter(t testing.TB, db string) *writer {
	t.Helper()
	w := &writer{TB: t, cmd: exec.Command(os.Args[0])}
	w.cmd.Env = append(os.Environ(), writerEnv+"="+db)
	w.cmd.Stderr = os.Stderr
	in, err := w.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.cmd.Process.Kill(); w.cmd.Wait() })
	w.in, w.out = in, bufio.NewScanner(out)
	if !w.out.Scan() || w.out.Text() != "ready" {
		t.Fatalf("writer: %q", w.out.Text())
	}
	return w
}

// stop ends the writer as an application ends.
func (w *writer) Stop() (did Tally) {
	w.Helper()
	w.in.Close()
	w.out.Scan()
	if err := json.Unmarshal(w.out.Bytes(), &did); err != nil {
		w.Fatalf("writer: %v: %q", err, w.out.Text())
	}
	w.cmd.Wait()
	return did
}
