package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
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

// writers measures how long an application's commits take while a snapshot is taken, and while none is.
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
		a.close()
		for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
			os.Remove(name + suffix)
		}
	}()
	var w waits
	// Enough commits for the slowest of a hundred to mean something.
	for i := 0; i < b.rounds || len(w.busy) < 500; i++ {
		seen := len(w.busy)
		took, held, err := b.beside(a, name, &w.busy)
		if err != nil {
			return nil, err
		}
		w.copies = append(w.copies, 1000*held.Seconds())
		w.longer = append(w.longer, slices.Max(w.busy[seen:])-1000*held.Seconds())
		a.writeFor(max(took, time.Second), &w.quiet)
		if a.err != nil {
			return nil, a.err
		}
	}
	return w.figures(m), nil
}

// beside takes a snapshot beside the application, and tells how long it took, and how long it held the database.
func (b *bench) beside(a *application, name string, into *commits) (took, held time.Duration, err error) {
	syscall.Sync()
	begin := time.Now()
	p, err := start(b.program, "backup", "-q", name, "-")
	if err != nil {
		return 0, 0, err
	}
	locked := make(chan time.Duration, 1)
	go func() { locked <- watchLocks(p.cmd.Process.Pid, name) }()
	ended := make(chan error, 1)
	go func() {
		_, err := p.wait()
		ended <- err
	}()
	for running := true; running; {
		select {
		case err = <-ended:
			running = false
		default:
			a.writeOne(into)
		}
	}
	return time.Since(begin), <-locked, err
}

// watchLocks tells for how long the process has a lock on the file, its end awaited.
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

// commits are how long they took, in milliseconds.
type commits []float64

// at is what that part of the commits does not exceed.
func (c commits) at(part float64) float64 {
	sorted := slices.Sorted(slices.Values(c))
	return sorted[min(len(sorted)-1, int(part*float64(len(sorted))))]
}

// waits are what an application went through, in milliseconds.
type waits struct {
	quiet, busy commits   // without and beside a snapshot
	copies      []float64 // for how long each snapshot held the database
	longer      []float64 // the longest commit beside each snapshot, less that
}

func (w *waits) figures(m mode) []figure {
	var all []figure
	tell := func(what string, limit float64, values ...float64) {
		all = append(all, figure{What: m.name + " writer: " + what, Limit: limit, Values: values})
	}
	tell(fmt.Sprintf("p50 of %d commits, no snapshot, ms", len(w.quiet)), 0, w.quiet.at(0.5))
	tell(fmt.Sprintf("p50 of %d commits, beside snapshots, ms", len(w.busy)), 0, w.busy.at(0.5))
	tell("p99, no snapshot, ms", 0, w.quiet.at(0.99))
	tell("p99, beside snapshots, ms", 0, w.busy.at(0.99))
	if m.wal {
		tell("p99, beside snapshots : no snapshot", 2, w.busy.at(0.99)/w.quiet.at(0.99))
	}
	tell("max, no snapshot, ms", 0, slices.Max(w.quiet))
	tell("max, beside snapshots, ms", 0, slices.Max(w.busy))
	tell("how long a snapshot holds the database, ms", 0, w.copies...)
	tell("longest commit beside a snapshot, less that, ms", 100, w.longer...)
	return all
}

// An application is a sqlite3 shell that keeps its connection and is given one transaction after another.
type application struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	random *rand.Rand
	rows   int64
	due    time.Time // when the next transaction is to begin
	err    error
}

func openApplication(db, pragmas string) (*application, error) {
	a := &application{cmd: exec.Command("sqlite3", "-batch", "-bail", db), random: rand.New(rand.NewPCG(6, 6))}
	var err error
	if a.in, err = a.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	a.out = bufio.NewReader(out)
	a.cmd.Stderr = os.Stderr
	if err := a.cmd.Start(); err != nil {
		return nil, err
	}
	answer := a.ask(pragmas + " PRAGMA busy_timeout=600000; SELECT max(id) FROM event;")
	if len(answer) > 0 && a.err == nil {
		a.rows, a.err = strconv.ParseInt(answer[len(answer)-1], 10, 64)
	}
	return a, a.err
}

// ask gives statements to the shell and returns the lines that it prints.
func (a *application) ask(sql string) (answer []string) {
	const mark = "=== done ==="
	if a.err != nil {
		return nil
	}
	if _, a.err = io.WriteString(a.in, sql+"\n.print "+mark+"\n"); a.err != nil {
		return nil
	}
	for {
		line, err := a.out.ReadString('\n')
		if err != nil {
			a.err = fmt.Errorf("the sqlite3 shell ended: %w", err)
			return nil
		}
		if line = strings.TrimSpace(line); line == mark {
			return answer
		}
		answer = append(answer, line)
	}
}

// writeOne commits a transaction when it is due, and notes how long that took.
func (a *application) writeOne(into *commits) {
	const pace = 5 * time.Millisecond
	time.Sleep(time.Until(a.due))
	sql := fmt.Sprintf("BEGIN IMMEDIATE; UPDATE event SET at = at + 1, body = body || 'x' WHERE id IN (%d, %d); COMMIT;",
		1+a.random.Int64N(a.rows), 1+a.random.Int64N(a.rows))
	begin := time.Now()
	a.ask(sql)
	*into = append(*into, 1000*time.Since(begin).Seconds())
	a.due = begin.Add(pace)
}

func (a *application) writeFor(d time.Duration, into *commits) {
	for end := time.Now().Add(d); time.Now().Before(end) && a.err == nil; {
		a.writeOne(into)
	}
}

func (a *application) close() {
	a.in.Close()
	a.cmd.Wait()
}
