package faults

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"
)

// A soakOrder is what a process beside the backups shall do. It is the test binary once more.
type soakOrder struct {
	DB          string
	BusyTimeout time.Duration
	Restless    bool // open and close, checkpoint, vacuum, change the journal mode, too
	Modes       bool // journal modes may be changed
	Seed        uint64
}

// A soakReport is what it has done.
type soakReport struct {
	Commits int
	Busy    int    // INSERT, UPDATE, DELETE or COMMIT that failed for a lock
	Slowest string // of these
	Error   string
}

const soakVariable = "SQLITE_CHECKPOINT_SOAK"

// Before TestMain, which would build the program.
func init() {
	text := os.Getenv(soakVariable)
	if text == "" {
		return
	}
	var order soakOrder
	err := json.Unmarshal([]byte(text), &order)
	var report soakReport
	if err == nil {
		report, err = order.carryOut()
	}
	if err != nil {
		report.Error = err.Error()
	}
	json.NewEncoder(os.Stdout).Encode(report)
	os.Exit(0)
}

// carryOut works until standard input ends.
func (o soakOrder) carryOut() (report soakReport, err error) {
	w := &soakWriter{order: o, random: rand.New(rand.NewPCG(o.Seed, 1)), report: &report}
	defer w.close()
	if err := w.open(); err != nil {
		return report, err
	}
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		bufio.NewReader(os.Stdin).ReadByte()
	}()
	fmt.Println("ready")
	for {
		select {
		case <-stop:
			return report, nil
		default:
		}
		if err := w.commit(); err != nil {
			return report, err
		}
		if o.Restless {
			if err := w.restless(); err != nil {
				return report, err
			}
		}
	}
}

type soakWriter struct {
	order   soakOrder
	random  *rand.Rand
	conn    *sqlite3.SQLiteConn
	report  *soakReport
	slowest time.Duration
}

func (w *soakWriter) open() error {
	for {
		c, err := (&sqlite3.SQLiteDriver{}).Open(fmt.Sprintf("file:%s?mode=rw&_busy_timeout=%d", w.order.DB, w.order.BusyTimeout.Milliseconds()))
		if err == nil {
			w.conn = c.(*sqlite3.SQLiteConn)
			return w.exec("PRAGMA wal_autocheckpoint=50; PRAGMA synchronous=OFF")
		}
		if !soakBusy(err) { // which an opening may be where another one recovers
			return err
		}
	}
}

func (w *soakWriter) close() {
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}

func (w *soakWriter) exec(sql string) error {
	_, err := w.conn.Exec(sql, nil)
	return err
}

func soakBusy(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && (e.Code&0xff == sqlite3.ErrBusy || e.Code&0xff == sqlite3.ErrLocked)
}

// commit moves an amount between the tables.
func (w *soakWriter) commit() error {
	i, j := w.random.IntN(1000)+1, w.random.IntN(1000)+1
	begin := time.Now()
	err := w.exec(fmt.Sprintf("BEGIN IMMEDIATE; UPDATE a SET v=v-3 WHERE id=%d; INSERT OR REPLACE INTO b SELECT id, v+3, randomblob(500) FROM b WHERE id=%d; COMMIT", i, j))
	w.slowest = max(w.slowest, time.Since(begin))
	w.report.Slowest = w.slowest.String()
	if err == nil {
		w.report.Commits++
		return nil
	}
	if !w.conn.AutoCommit() {
		w.exec("ROLLBACK")
	}
	if soakBusy(err) {
		w.report.Busy++
		return nil
	}
	return err
}

// restless does now and then what applications do.
func (w *soakWriter) restless() error {
	var err error
	switch w.random.IntN(12) {
	case 0, 1:
		w.close()
		err = w.open()
	case 2:
		err = w.exec("PRAGMA wal_checkpoint(" + []string{"PASSIVE", "FULL", "RESTART", "TRUNCATE"}[w.random.IntN(4)] + ")")
	case 3:
		err = w.exec("VACUUM")
	case 4:
		if w.order.Modes {
			err = w.exec("PRAGMA journal_mode=" + []string{"WAL", "DELETE", "TRUNCATE", "PERSIST"}[w.random.IntN(4)])
		}
	case 5:
		w.exec("BEGIN IMMEDIATE; UPDATE a SET v=v+1000; UPDATE b SET v=v-500")
		if !w.conn.AutoCommit() {
			w.exec("ROLLBACK")
		}
	}
	if soakBusy(err) {
		return nil
	}
	return err
}

// A soakProcess carries out an order.
type soakProcess struct {
	t     testing.TB
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
}

func startSoakWriter(t testing.TB, order soakOrder) *soakProcess {
	t.Helper()
	text, err := json.Marshal(order)
	if err != nil {
		t.Fatal(err)
	}
	p := &soakProcess{t: t, cmd: exec.Command("/proc/self/exe")}
	p.cmd.Env = append(os.Environ(), soakVariable+"="+string(text))
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	p.lines = bufio.NewScanner(out)
	if !p.lines.Scan() || p.lines.Text() != "ready" {
		t.Fatalf("writer: %q", p.lines.Text())
	}
	return p
}

// stop ends it as an application ends.
func (p *soakProcess) stop() (report soakReport) {
	p.t.Helper()
	p.in.Close()
	p.lines.Scan()
	if err := json.Unmarshal(p.lines.Bytes(), &report); err != nil || report.Error != "" {
		p.t.Errorf("writer: %v: %q", err, p.lines.Text())
	}
	p.cmd.Wait()
	return report
}

// kill ends it as a crash would.
func (p *soakProcess) kill() {
	p.cmd.Process.Signal(syscall.SIGKILL)
	p.cmd.Wait()
}

// TestSoak takes backups beside writers and a restless application that is killed now and then: 200 of each kind in the long
// form (make soak), fewer otherwise.
func TestSoak(t *testing.T) {
	backups := 20
	if n, err := strconv.Atoi(os.Getenv("SOAK")); err == nil {
		backups = n
	}
	program := copyOfProgram(t)
	for _, c := range []struct {
		name  string
		mode  string
		modes bool // the application changes the journal mode
	}{{"WAL", "WAL", false}, {"rollback", "DELETE", false}, {"changing journal modes", "WAL", true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, program)
			s.sql(s.db, "PRAGMA journal_mode="+c.mode+";", ledgerSQL)
			soak := soak{scene: s, modes: c.modes}
			begin, left := time.Now(), backups
			with := soak.run(func() bool { left--; return left >= 0 }, true)
			elapsed := time.Since(begin)
			control := soak.run(func() bool { elapsed -= time.Second; time.Sleep(time.Second); return elapsed > 0 }, false)
			t.Logf("with us: %+v; without: %+v; %s", with, control, s.tally.verdict(t.Failed()))
			if c.mode == "WAL" && !c.modes && with.Busy > control.Busy {
				t.Errorf("writers were turned away %d times, and %d without us", with.Busy, control.Busy)
			}
			if with.Commits == 0 {
				t.Error("nobody wrote")
			}
			s.lastsTheSoak()
		})
	}
}

type soak struct {
	*scene
	modes bool
}

// run lets writers write while more says so, and counts.
func (s *soak) run(more func() bool, backup bool) (sum soakReport) {
	s.Helper()
	var writers []*soakProcess
	for seed := range uint64(3) {
		writers = append(writers, startSoakWriter(s.T, soakOrder{DB: s.db, BusyTimeout: time.Minute, Seed: seed}))
	}
	order := soakOrder{DB: s.db, BusyTimeout: time.Second, Restless: true, Modes: s.modes, Seed: 99}
	restless := startSoakWriter(s.T, order)
	for i := 0; more(); i++ {
		if i%5 == 4 {
			restless.kill()
			order.Seed++
			restless = startSoakWriter(s.T, order)
		}
		if backup {
			s.try(trial{moves: true, args: []string{"backup", "--busy-timeout", "60s", s.db, "-"}}).holds(ledgerSum, ledgerIs)
		}
	}
	restless.stop()
	for _, w := range writers {
		did := w.stop()
		sum.Commits += did.Commits
		sum.Busy += did.Busy
		sum.Slowest = strings.TrimPrefix(sum.Slowest+" "+did.Slowest, " ")
	}
	return sum
}

// lastsTheSoak wants the database itself to be whole, too.
func (s *scene) lastsTheSoak() {
	s.Helper()
	if got := s.sql(s.db, ".timeout 10000", "PRAGMA integrity_check;", ledgerSum); got != "ok\n"+ledgerIs {
		s.Errorf("the database says %q", got)
	}
}

// TestWALWriterNeverWaits: a writer that does not wait at all is never turned away by a backup.
func TestWALWriterNeverWaits(t *testing.T) {
	s := newScene(t, copyOfProgram(t))
	s.sql(s.db, "PRAGMA journal_mode=WAL;", ledgerSQL)
	writer := startSoakWriter(t, soakOrder{DB: s.db})
	for range 30 {
		s.try(trial{moves: true, args: []string{"backup", "--busy-timeout", "60s", s.db, "-"}}).holds(ledgerSum, ledgerIs)
	}
	if did := writer.stop(); did.Busy > 0 || did.Commits == 0 {
		t.Errorf("the writer had %d commits and was turned away %d times", did.Commits, did.Busy)
	} else {
		t.Logf("%+v", did)
	}
}
