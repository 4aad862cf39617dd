package faults

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit/ledger"
)

// waiting are the arguments of a backup that gives up early.
func (s *scene) waiting() []string { return []string{"backup", "--busy-timeout", "300ms", s.db, "-"} }

// foreign backs up, as another user, a source that belongs to the application, which can still
// write to it afterwards.
func foreign(state func(s *scene), code, rows int) func(s *scene) {
	return func(s *scene) {
		state(s)
		s.own(0o644)
		time.Sleep(30 * time.Millisecond) // what was written just now cannot be guarded
		s.try(trial{under: s.user(harness.Nobody), args: s.waiting(), codes: []int{code},
			says: []string{"app.db"}}).hasRows(rows)
		s.stillWrites(rows)
	}
}

// foreignBesideLive backs up, as another user, a source that its application has open and keeps
// writing to.
func (s *scene) foreignBesideLive() {
	s.own(0o644)
	live := s.OpenAs(harness.App, s.db, moreRows)
	s.try(trial{under: s.user(harness.Nobody)}).hasRows(600)
	if got := live.Run("INSERT INTO t(v) VALUES('live'); SELECT changes();"); got != "1" {
		s.Errorf("the application's insert says %q", got)
	}
	live.Close()
	s.stillWrites(601)
}

// staysBusy checks that a backup of a locked source gives up after the timeout, not before.
func (s *scene) staysBusy() {
	s.Helper()
	const timeout = time.Second
	o := s.try(trial{args: []string{"backup", "--busy-timeout", timeout.String(), s.db, "-"}, codes: []int{codeBusy},
		says: []string{"app.db", "locked"}})
	if o.elapsed < timeout*9/10 || o.elapsed > timeout+10*time.Second {
		s.Errorf("busy after %v", o.elapsed)
	}
}

// besideWriter takes backups beside a writer: the invariant holds in each, and the writer never
// finds the database busy.
func besideWriter(s *scene, mode string, backups int) {
	s.SQLite(s.db, "PRAGMA journal_mode="+mode+";", ledger.Schema)
	writer := ledger.Start(s.TB, ledger.Order{DB: s.db, BusyTimeout: 30 * time.Second})
	for range backups {
		s.try(trial{moves: true, args: []string{"backup", "--busy-timeout", "60s", s.db, "-"}}).holds(ledger.Sum,
			ledger.Total)
	}
	if did := writer.Stop(); did.Busy > 0 || did.Commits == 0 {
		s.Errorf("the writer had %d commits and found the database busy %d times", did.Commits, did.Busy)
	}
}

// big makes the source a rollback-mode database of about 20 MB.
func (s *scene) big() {
	s.Helper()
	s.SQLite(s.db, "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT);",
		"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<2500) INSERT INTO t SELECT i, "+
			"hex(randomblob(4000)) FROM c;")
}

// writesWhileReaderStalls: however long the stream takes, the database is not locked.
func writesWhileReaderStalls(s *scene) {
	s.big()
	p := s.start(trial{stall: true, moves: true})
	p.sending()
	for i := range 20 {
		s.SQLite(s.db, ".timeout 100", fmt.Sprintf("INSERT INTO t(v) VALUES(%d);", i))
	}
	p.release()
	p.finish().hasRows(2500)
}

// disturbed changes the source in the middle of its copy.
func (s *scene) disturbed(codes []int, says []string, change func()) {
	s.Helper()
	s.SQLite(s.db, rowsSQL(5000))
	p := s.start(trial{under: s.slowly(s.db, 10), moves: true, codes: codes, says: says})
	p.copying()
	change()
	p.finish()
}

// guardedCopyDisturbed: a commit in the middle of a copy without locks is noticed, and the copy is
// made again.
func guardedCopyDisturbed(s *scene) {
	s.part("once", func(s *scene) {
		s.SQLite(s.db, "PRAGMA journal_mode=WAL;", rowsSQL(2000))
		time.Sleep(30 * time.Millisecond)
		p := s.start(trial{under: s.slowly(s.db, 5), moves: true, args: []string{"backup", "--busy-timeout", "60s",
			s.db, "-"}})
		p.copying()
		s.SQLite(s.db, moreRows)
		p.finish().hasRows(2100)
	})
	s.part("again and again", func(s *scene) {
		s.SQLite(s.db, "PRAGMA journal_mode=WAL;", ledger.Schema)
		var stop atomic.Bool
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := 0; !stop.Load(); i++ {
				s.TrySQLite(0, s.db, ".timeout 10000",
					fmt.Sprintf("BEGIN IMMEDIATE; UPDATE a SET v=v-3 WHERE id=%d; UPDATE b SET v=v+3 WHERE id=%[1]d; "+
						"COMMIT;", i%1000+1))
			}
		}()
		for range 20 {
			s.try(trial{moves: true, codes: []int{codeDone, codeBusy}, says: []string{"app.db"},
				args: []string{"backup", "--busy-timeout", "2s", s.db, "-"}}).holds(ledger.Sum, ledger.Total)
		}
		stop.Store(true)
		<-done
	})
}

func changedMeanwhile(s *scene) {
	for _, mode := range []string{"WAL", "DELETE"} {
		for _, change := range []string{"VACUUM;", "PRAGMA journal_mode=DELETE;", "PRAGMA journal_mode=WAL;",
			"PRAGMA page_size=1024; VACUUM;", "PRAGMA wal_checkpoint(TRUNCATE);"} {
			s.part(mode+" "+change, func(s *scene) {
				s.SQLite(s.db, "PRAGMA journal_mode="+mode+";", rowsSQL(1000))
				time.Sleep(30 * time.Millisecond)
				p := s.start(trial{under: s.slowly(s.db, 5), moves: true, codes: []int{codeDone, codeBusy, codeSource},
					says: []string{"app.db"}})
				p.copying()
				s.TrySQLite(0, s.db, ".timeout 100", change)
				p.finish().hasRows(1000)
			})
		}
	}
}

func fewDescriptors(s *scene) {
	s.crashed("-wal", "-shm")
	clean := false
	// With 6 to 8 the Go runtime cannot start its network poller.
	for n := 9; n < 40 && !clean; n++ {
		o := s.try(trial{under: s.limited(fmt.Sprintf("--nofile=%d", n)), codes: []int{codeDone, codeSpace},
			says: []string{"too many open files"}})
		clean = o.code == codeDone
	}
	if !clean {
		s.Error("it never got through")
	}
}

func sameFile(s *scene) {
	s.wal()
	hardlink, symlink := filepath.Join(s.out, "hard.db"), filepath.Join(s.out, "soft.db")
	s.Check(os.Link(s.db, hardlink))
	s.Check(os.Symlink(s.db, symlink))
	link := filepath.Join(s.Root, "source-link")
	s.Check(os.Symlink(s.source, link))
	for _, dest := range []string{s.db, hardlink, symlink, s.source + "/../source/app.db",
		filepath.Join(link, "app.db"),
		s.db + "-wal", s.db + "-shm", s.db + "-journal", filepath.Join(link, "app.db-wal")} {
		for _, flags := range [][]string{nil, {"--zstd"}} {
			args := slices.Concat([]string{"backup"}, flags, []string{s.db, dest})
			s.try(trial{args: args, codes: []int{codeExists}, says: []string{"the same database"}})
		}
	}
	// The source's directory as temporary directory is no destination: it works, and no name is
	// left.
	names := func() string { return strings.Join(listing(s, s.source), " ") }
	before := names()
	s.try(trial{env: []string{"TMPDIR=" + s.source}, moves: true}).hasRows(500)
	if after := names(); after != before {
		s.Errorf("there were %s, there are %s", before, after)
	}
}

func listing(s *scene, dir string) (names []string) {
	entries, err := os.ReadDir(dir)
	s.Check(err)
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// signals sends INT, TERM and HUP while the program waits, copies, checks, sends and waits for its
// reader.
func signals(s *scene) {
	phases := []struct {
		name string
		run  func(s *scene) *running
	}{
		{"waiting for a lock", func(s *scene) *running {
			s.rollback()
			s.Open(s.db, "BEGIN EXCLUSIVE;")
			p := s.start(trial{args: []string{"backup", "--busy-timeout", "10m", s.db, "-"}})
			harness.Eventually(p, "it waits", func() bool { return len(p.process.Private()) > 0 })
			return p
		}},
		{"copying", func(s *scene) *running {
			s.SQLite(s.db, rowsSQL(20000))
			p := s.start(trial{under: s.slowly(s.db, 5), args: []string{"backup", "--pages-per-step", "20", s.db, "-"}})
			p.copying()
			return p
		}},
		{"copying in one long step", func(s *scene) *running {
			s.SQLite(s.db, rowsSQL(20000))
			p := s.start(trial{under: s.straceAll("-e", "trace=pread64,unlinkat",
				"-e", "inject=pread64:delay_enter=100000", "-e", "inject=unlinkat:delay_enter=30000")})
			p.copying()
			time.Sleep(1500 * time.Millisecond) // the step takes seconds
			return p
		}},
		{"checking", func(s *scene) *running {
			// An index on an expression that takes long to compute, but did not when the index was
			// made.
			s.SQLite(s.db, rowsSQL(20000), "CREATE INDEX slow ON t(id + 0);", "PRAGMA writable_schema=ON;",
				"UPDATE sqlite_schema SET sql = replace(sql, '+ 0', '+ 0 * length(hex(zeroblob(200000 + id)))') "+
					"WHERE name = 'slow';")
			p := s.start(trial{args: []string{"backup", "--check", "full", s.db, "-"}})
			image := p.copying()
			harness.Eventually(p, "the copy is whole", func() bool {
				info, err := os.Stat(image)
				return err != nil || info.Size() > 0
			})
			time.Sleep(100 * time.Millisecond)
			return p
		}},
		{"sending", func(s *scene) *running {
			s.big()
			p := s.start(trial{stall: true})
			p.sending()
			return p
		}},
		{"waiting for a reader", func(s *scene) *running {
			s.rollback()
			fifo := filepath.Join(s.out, "fifo")
			s.Check(syscall.Mkfifo(fifo, 0o644))
			p := s.start(trial{args: []string{"backup", s.db, fifo}})
			p.caught()
			time.Sleep(300 * time.Millisecond)
			return p
		}},
	}
	for _, phase := range phases {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
			if phase.name != "copying" && phase.name != "sending" && sig != syscall.SIGTERM {
				continue // the signals differ in nothing but their number
			}
			s.part(phase.name+" "+strconv.Itoa(int(sig)), func(s *scene) {
				p := phase.run(s)
				p.trial.codes, p.trial.sends = []int{128 + int(sig)}, true
				p.trial.says = []string{"interrupted by SIG"}
				p.signal(sig)
				begin := time.Now()
				harness.Eventually(p, "the end", p.over)
				if late := time.Since(begin); late > 10*time.Second {
					s.Errorf("it took %v to end", late)
				}
				p.finish()
			})
		}
	}
}

// caught waits until the program catches signals.
func (p *running) caught() {
	p.Helper()
	harness.Eventually(p, "signals are caught", func() bool {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid()))
		_, rest, _ := bytes.Cut(status, []byte("SigCgt:"))
		mask, _, _ := strings.Cut(strings.TrimSpace(string(rest)), "\n")
		caught, _ := strconv.ParseUint(mask, 16, 64)
		const wanted = 1<<(syscall.SIGTERM-1) | 1<<(syscall.SIGINT-1) | 1<<(syscall.SIGPIPE-1)
		return caught&wanted == wanted
	})
}
