package main

import (
	"fmt"
	"math"
	"os"
	"time"
)

// A contest is a set of tasks that are run one after the other, and the figures that are computed
// from their times.
type contest struct {
	name   string
	inputs []string
	before func() error // creates what the tasks need; may be nil
	tasks  []task
	claims []claim
	after  []string // files to remove at the end
}

// A round has the outcome of every task, each run once.
type round map[string]outcome

func (r round) seconds(task string) float64 { return r[task].took.Seconds() }

// A claim is a figure that is computed from each round, and its target.
type claim struct {
	what  string
	of    func(round) float64
	limit float64
	over  sizes // of the databases that the limit is for
	shown sizes // of those whose figure means anything
}

// sizes is a range of database sizes, in bytes. The zero value includes all.
type sizes struct{ from, to int64 }

var (
	tiny    = sizes{0, 1e6}
	notTiny = sizes{10e6, math.MaxInt64}
	large   = sizes{900e6, math.MaxInt64}
	quarter = sizes{200e6, 300e6} // of a GB
)

func (s sizes) contain(n int64) bool { return s == sizes{} || s.from <= n && n <= s.to }

// Names of tasks that claims, tables and the plot refer to.
const (
	program     = "sqlite-checkpoint "
	rawOurs     = program + "snapshot"
	rawTheirs   = ".backup, quick_check, sha256sum, cat"
	zstdOurs    = program + "snapshot --zstd"
	zstdTheirs  = ".backup, quick_check, sha256sum, zstd -3 -T0"
	fullOurs    = program + "backup --check full"
	fullTheirs  = "PRAGMA integrity_check alone"
	restoreOurs = program + "restore"
	verifyOurs  = program + "verify"
	checkOurs   = verifyOurs + " --check quick"
)

// contests returns all contests.
func (b *bench) contests(db string) []contest {
	return []contest{b.snapshot(db), b.compressed(db), b.fullCheck(db), b.restore(db), b.verify(db), b.workers(db)}
}

const shellLine = "integration/bench/shell-line.sh"

// snapshot compares a raw stream with the shell line, and with its own parts as done by the best
// program for each.
func (b *bench) snapshot(db string) contest {
	copied := b.path("tmp/copied.db")
	floor := func(r round) float64 {
		return r.seconds("copy") + max(r.seconds("check"), r.seconds("hash")) + r.seconds("splice")
	}
	return contest{
		name:   "snapshot",
		inputs: []string{db},
		tasks: []task{
			{name: rawOurs, run: command(b.program, "snapshot", "-q", db, "-")},
			{name: rawTheirs, run: command(shellLine, db)},
			{name: "VACUUM INTO", run: command("sqlite3", db, "VACUUM INTO '"+copied+"'"), makes: copied},
			{name: "copy", run: command("sqlite3", db, ".backup --async "+copied), makes: copied},
			{name: "cp", run: command("cp", "--reflink=never", db, copied), makes: copied},
			{name: "check", run: command("sqlite3", "file:"+db+"?mode=ro&immutable=1", "PRAGMA mmap_size=2147418112",
				"PRAGMA quick_check")},
			{name: "hash", run: hash(db)},
			{name: "splice", run: command(self(), spliceCommand, db)},
		},
		claims: []claim{
			{what: "raw snapshot : the shell line", of: ratio(rawOurs, rawTheirs), limit: 0.42, over: large,
				shown: notTiny},
			{what: "raw snapshot : the shell line", of: ratio(rawOurs, rawTheirs), limit: 1, over: tiny, shown: tiny},
			{what: "raw snapshot : floor (copy + max(check, hash) + splice)",
				of: func(r round) float64 { return r.seconds(rawOurs) / floor(r) }, limit: 1.10, over: large,
				shown: notTiny},
			{what: "raw snapshot : VACUUM INTO alone", of: ratio(rawOurs, "VACUUM INTO"), shown: notTiny},
			{what: "raw snapshot, whole process, ms", of: func(r round) float64 { return r.seconds(rawOurs) * 1000 },
				limit: 25, over: tiny, shown: tiny},
		},
	}
}

func (b *bench) compressed(db string) contest {
	return contest{
		name:   "zstd",
		inputs: []string{db},
		tasks: []task{
			{name: zstdOurs, run: command(b.program, "snapshot", "-q", "--zstd", db, "-")},
			{name: zstdTheirs, run: command(shellLine, "--zstd", db)},
			{name: "zstd -3 -T0", run: command("zstd", "-q", "-3", "-T0", "-c", db)},
		},
		claims: []claim{
			{what: "--zstd : the shell line with zstd -3 -T0", of: ratio(zstdOurs, zstdTheirs), limit: 0.75,
				over: large},
			{what: "--zstd : the same, bytes of output", of: func(r round) float64 {
				return float64(r[zstdOurs].output) / float64(r[zstdTheirs].output)
			}, limit: 1.05, over: notTiny, shown: notTiny},
		},
	}
}

// fullCheck compares a whole backup, including copy, digest and stream, with SQLite's check alone.
func (b *bench) fullCheck(db string) contest {
	return contest{
		name:   "full",
		inputs: []string{db},
		tasks: []task{
			{name: fullOurs, run: command(b.program, "backup", "-q", "--check", "full", db, "-")},
			{name: fullTheirs, run: command("sqlite3", db, "PRAGMA integrity_check")},
		},
		claims: []claim{
			{what: "backup --check full, all of it : PRAGMA integrity_check alone", of: ratio(fullOurs, fullTheirs),
				limit: 0.65, over: large, shown: notTiny},
		},
	}
}

func (b *bench) restore(db string) contest {
	stream, restored := b.path("tmp/stream"), b.path("tmp/restored.db")
	return contest{
		name:   "restore",
		inputs: []string{db, stream},
		before: b.emit(db, stream),
		tasks: []task{
			{name: restoreOurs, run: command(b.program, "restore", "-q", stream, restored), makes: restored},
			{name: "cat and fsync", run: command("sh", "-c", `cat "$0" >"$1" && sync "$1"`, stream, restored),
				makes: restored},
			{name: "sha256sum", run: command("sha256sum", db)},
			{name: "quick_check", run: command("sqlite3", "file:"+db+"?mode=ro&immutable=1", "PRAGMA quick_check")},
		},
		claims: []claim{
			{what: "restore : cat to a file and fsync + max(sha256sum, quick_check)", of: func(r round) float64 {
				return r.seconds(restoreOurs) / (r.seconds("cat and fsync") + max(r.seconds("sha256sum"),
					r.seconds("quick_check")))
			}, limit: 1.2, over: large, shown: notTiny},
		},
		after: []string{stream},
	}
}

func (b *bench) verify(db string) contest {
	stream, compressed := b.path("tmp/stream"), b.path("tmp/stream.zst")
	return contest{
		name:   "verify",
		inputs: []string{stream, compressed},
		before: both(b.emit(db, stream), b.emit(db, compressed, "--zstd")),
		tasks: []task{
			{name: verifyOurs, run: command(b.program, "verify", "-q", stream)},
			{name: "cat | sha256sum", run: command("sh", "-c", `cat "$0" | sha256sum`, stream)},
			{name: verifyOurs + " .zst", run: command(b.program, "verify", "-q", compressed)},
			{name: "zstd -dc | sha256sum", run: command("sh", "-c", `zstd -dc "$0" | sha256sum`, compressed)},
			{name: checkOurs, run: command(b.program, "verify", "-q", "--check", "quick", stream)},
			{name: checkOurs + ", one core",
				run: command("taskset", "-c", "0", b.program, "verify", "-q", "--check", "quick", stream)},
		},
		claims: []claim{
			{what: "verify : cat | sha256sum", of: ratio(verifyOurs, "cat | sha256sum")},
			{what: "verify of a .zst : zstd -dc | sha256sum", of: ratio(verifyOurs+" .zst", "zstd -dc | sha256sum")},
			{what: "verify --check quick : the same on one core", of: ratio(checkOurs, checkOurs+", one core"),
				limit: 0.65, over: large, shown: notTiny},
		},
		after: []string{stream, compressed},
	}
}

// workers compares one process on two cores with two processes on one core each, for the same
// amount of work.
func (b *bench) workers(db string) contest {
	const together, apart = "one process, two workers", "two processes, a worker each"
	return contest{
		name:   "workers",
		inputs: []string{db},
		tasks: []task{
			{name: together, run: command("env", "GOMAXPROCS=2", self(), compressCommand, db, "2")},
			{name: apart, run: command("env", "GOMAXPROCS=1", "sh", "-c", `"$0" "$@" 1 & "$0" "$@" 1 & wait`, self(),
				compressCommand, db)},
		},
		claims: []claim{
			{what: "throughput of two processes with a worker each : one with two", of: ratio(together, apart),
				limit: 1 / 0.9, over: notTiny, shown: notTiny},
		},
	}
}

// self returns the path of this program.
func self() string {
	name, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return name
}

func ratio(ours, theirs string) func(round) float64 {
	return func(r round) float64 { return r.seconds(ours) / r.seconds(theirs) }
}

// emit returns a function that writes a stream to a file.
func (b *bench) emit(db, to string, flags ...string) func() error {
	return func() error {
		argv := append([]string{"sh", "-c", `to=$1; shift; exec "$@" >"$to"`, "sh", to, b.program, "backup", "-q", db,
			"-"}, flags...)
		_, err := command(argv...)()
		return err
	}
}

func both(first, second func() error) func() error {
	return func() error {
		if err := first(); err != nil {
			return err
		}
		return second()
	}
}

// runContest runs a contest and stores its results.
func (b *bench) runContest(c contest, size int64) error {
	for _, name := range c.after {
		defer os.Remove(name)
	}
	if c.before != nil {
		if err := c.before(); err != nil {
			return err
		}
	}
	var rounds []round
	for i := range b.roundsFor(size) {
		r, err := c.round(i, size)
		if err != nil {
			return err
		}
		rounds = append(rounds, r)
	}
	return b.out.add(size, c, rounds)
}

// roundsFor returns more rounds for small databases, whose times are noisier and short.
func (b *bench) roundsFor(size int64) int {
	if tiny.contain(size) {
		return 10 * b.rounds
	}
	return b.rounds
}

// round runs every task once, in reverse order every other time.
func (c contest) round(number int, size int64) (round, error) {
	r := round{}
	for i := range c.tasks {
		if number%2 == 1 {
			i = len(c.tasks) - 1 - i
		}
		t := c.tasks[i]
		o, err := t.perform(c.inputs...)
		if err != nil {
			return nil, err
		}
		r[t.name] = o
		if !tiny.contain(size) {
			fmt.Fprintf(os.Stderr, "%s %d %s: %v, %.0f %% stolen\n", sizeName(size), number+1, t.name,
				o.took.Round(time.Millisecond), 100*o.stolen)
		}
	}
	return r, nil
}
