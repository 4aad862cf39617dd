package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// A mode is how an application writes.
type mode struct {
	name    string
	wal     bool
	pragmas string
}

var modes = []mode{
	{"WAL", true, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"},
	{"WAL, synchronous=FULL", true, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"},
	{"rollback", false, "PRAGMA journal_mode=DELETE;"},
}

// writers measures how long an application's commits take while a snapshot is taken, and while none
// is.
func (b *bench) writers(db string, size int64) error {
	var figures []figure
	for _, m := range modes {
		found, err := b.writer(m, db, size)
		if err != nil {
			return fmt.Errorf("writer, %s: %w", m.name, err)
		}
		figures = append(figures, found...)
	}
	return b.out.put(size, "writer", figures...)
}

func (b *bench) writer(m mode, db string, size int64) ([]figure, error) {
	name := b.path("tmp/writer.db")
	if _, err := command("cp", "--reflink=never", db, name)(); err != nil {
		return nil, err
	}
	a, err := openApplication(name, m.pragmas)
	if err != nil {
		return nil, err
	}
	defer func() {
		a.Close()
		for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
			os.Remove(name + suffix)
		}
	}()
	var w waits
	// Enough commits for a 99th percentile to mean something.
	for i := 0; i < b.rounds || len(w.busy) < 500; i++ {
		busy, stolenBusy, err := leftAlone(func() (spell, error) { return b.beside(a, name) })
		if err != nil {
			return nil, err
		}
		quiet, stolenQuiet, err := leftAlone(func() (spell, error) { return a.alone(max(busy.took, time.Second)) })
		if err != nil {
			return nil, err
		}
		w.add(busy, quiet)
		fmt.Fprintf(os.Stderr,
			"%s %d writer, %s: p99 %.2f ms beside a snapshot, %.0f %% stolen; %.2f ms without, %.0f %% stolen\n",
			sizeName(size), i+1, m.name, busy.commits.at(0.99), 100*stolenBusy, quiet.commits.at(0.99), 100*stolenQuiet)
	}
	return w.figures(m), nil
}

// A spell is a period in which an application has written.
type spell struct {
	commits commits
	took    time.Duration
	held    time.Duration // how long a snapshot held the database in it
}

// beside takes a snapshot beside the application.
func (b *bench) beside(a *application, name string) (s spell, err error) {
	syscall.Sync()
	begin := time.Now()
	p, err := start(b.program, "backup", "-q", name, "-")
	if err != nil {
		return spell{}, err
	}
	locked := make(chan time.Duration, 1)
	go func() { locked <- watchLocks(p.cmd.Process.Pid, name) }()
	ended := make(chan error, 1)
	go func() {
		_, err := p.wait()
		ended <- err
	}()
	for running := true; running && err == nil; {
		select {
		case err = <-ended:
			running = false
		default:
			err = a.writeOne(&s.commits)
		}
	}
	s.took, s.held = time.Since(begin), <-locked
	return s, err
}

// watchLocks waits for the end of the process, and returns for how long it had a lock on the file.
func watchLocks(pid int, name string) time.Duration {
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	holder, inode := fmt.Sprintf(" %d ", pid), fmt.Sprintf(":%d ", info.Sys().(*syscall.Stat_t).Ino)
	var first, last time.Time
	for syscall.Kill(pid, 0) == nil {
		locks, _ := os.ReadFile("/proc/locks")
		for line := range strings.Lines(string(locks)) {
			if strings.Contains(line, holder) && strings.Contains(line, inode) {
				last = time.Now()
				if first.IsZero() {
					first = last
				}
				break
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
	return last.Sub(first)
}

// commits are the durations of commits, in milliseconds.
type commits []float64

// at returns the duration that this fraction of the commits does not exceed.
func (c commits) at(part float64) float64 {
	sorted := slices.Sorted(slices.Values(c))
	return sorted[min(len(sorted)-1, int(part*float64(len(sorted))))]
}

// waits are the durations of all commits of an application, in milliseconds, and what follows from
// them.
type waits struct {
	quiet, busy commits   // without and beside a snapshot
	ratios      []float64 // p99 beside each snapshot, divided by p99 without one just afterwards
	copies      []float64 // how long each snapshot held the database
	longer      []float64 // the longest commit beside each snapshot, less that
}

func (w *waits) add(busy, quiet spell) {
	held := 1000 * busy.held.Seconds()
	w.busy = append(w.busy, busy.commits...)
	w.quiet = append(w.quiet, quiet.commits...)
	w.ratios = append(w.ratios, busy.commits.at(0.99)/quiet.commits.at(0.99))
	w.copies = append(w.copies, held)
	w.longer = append(w.longer, slices.Max(busy.commits)-held)
}

func (w *waits) figures(m mode) []figure {
	var all []figure
	add := func(what string, limit float64, values ...float64) {
		all = append(all, figure{What: m.name + " writer: " + what, Limit: limit, Values: values})
	}
	add(fmt.Sprintf("p50 of %d commits, no snapshot, ms", len(w.quiet)), 0, w.quiet.at(0.5))
	add(fmt.Sprintf("p50 of %d commits, beside snapshots, ms", len(w.busy)), 0, w.busy.at(0.5))
	add("p99, no snapshot, ms", 0, w.quiet.at(0.99))
	add("p99, beside snapshots, ms", 0, w.busy.at(0.99))
	if m.wal {
		add("p99, beside snapshots : no snapshot", 2, w.ratios...)
	}
	add("max, no snapshot, ms", 0, slices.Max(w.quiet))
	add("max, beside snapshots, ms", 0, slices.Max(w.busy))
	add("how long a snapshot holds the database, ms", 0, w.copies...)
	add("longest commit beside a snapshot, less that, ms", 100, w.longer...)
	return all
}

// An application keeps its connection and commits one transaction after another.
type application struct {
	*testkit.Shell
	random *rand.Rand
	rows   int64
	due    time.Time // when the next transaction should begin
}

func openApplication(db, pragmas string) (*application, error) {
	session, err := testkit.StartShell(exec.Command("sqlite3", "-batch", db))
	if err != nil {
		return nil, err
	}
	a := &application{Shell: session, random: rand.New(rand.NewPCG(6, 6))}
	answer, err := a.Run(pragmas + " PRAGMA busy_timeout=600000; SELECT max(id) FROM event;")
	if err == nil {
		a.rows, err = strconv.ParseInt(answer[strings.LastIndex(answer, "\n")+1:], 10, 64)
	}
	return a, err
}

// writeOne commits a transaction when it is due, and records how long that took.
func (a *application) writeOne(into *commits) error {
	const pace = 5 * time.Millisecond
	time.Sleep(time.Until(a.due))
	sql := fmt.Sprintf("BEGIN IMMEDIATE; UPDATE event SET at = at + 1, body = body || 'x' WHERE id IN (%d, %d); "+
		"COMMIT;",
		1+a.random.Int64N(a.rows), 1+a.random.Int64N(a.rows))
	begin := time.Now()
	_, err := a.Run(sql)
	*into = append(*into, 1000*time.Since(begin).Seconds())
	a.due = begin.Add(pace)
	return err
}

// alone writes for a while without a snapshot.
func (a *application) alone(d time.Duration) (s spell, err error) {
	syscall.Sync()
	for begin := time.Now(); s.took < d && err == nil; s.took = time.Since(begin) {
		err = a.writeOne(&s.commits)
	}
	return s, err
}
