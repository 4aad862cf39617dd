package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// caches measures how many of its hot pages an application keeps in the page cache. It shares a
// memory cgroup of 0.7 times the size of the database with a snapshot, and its hot pages are 0.3
// times that size.
func (b *bench) caches(db string, size int64) error {
	const part = "cache"
	g, err := testkit.NewCgroup(size / 10 * 7)
	if err != nil {
		fmt.Fprintf(os.Stderr, "cache: not measured: no cgroup: %v\n", err)
		return b.out.put(size, part, figure{What: "application in a memory cgroup: not measured: no cgroup"})
	}
	g.Remove()
	programs := []struct {
		name   string
		limits cacheLimits
		argv   []string
	}{
		{"snapshot", cacheLimits{after: 3, median: 2, beside: 0.2}, []string{b.program, "snapshot", "-q", db, "-"}},
		{"the shell line", cacheLimits{}, []string{shellLine, db}},
		{"nothing", cacheLimits{}, []string{"sleep", "2"}},
	}
	visits := make([][]visit, len(programs))
	for i := range b.rounds {
		for j, p := range programs {
			v, stolen, err := leftAlone(func() (visit, error) { return visited(db, size, p.argv) })
			if err != nil {
				return fmt.Errorf("cache, %s: %w", p.name, err)
			}
			visits[j] = append(visits[j], v)
			fmt.Fprintf(os.Stderr,
				"%s %d cache, %s: %v, misses %d before, %d beside, %d after; median %.1f µs, %.0f %% stolen\n",
				sizeName(size), i+1, p.name, v.took.Round(time.Millisecond), v.before.Misses, v.beside.Misses,
				v.after.Misses,
				v.after.at(0.5), 100*stolen)
		}
	}
	var figures []figure
	for j, p := range programs {
		figures = append(figures, p.limits.figures(p.name, visits[j], visits[1])...)
	}
	return b.out.put(size, part, figures...)
}

// A visit is one run of a program beside an application, and the reads of the application.
type visit struct {
	took                  time.Duration
	before, beside, after *tally
}

// visited runs a program beside a new application. The database is not cached when the application
// starts: a page counts against the cgroup that reads it first.
func visited(db string, size int64, argv []string) (v visit, err error) {
	if err := evict(db); err != nil {
		return v, err
	}
	g, err := testkit.NewCgroup(size / 10 * 7)
	if err != nil {
		return v, err
	}
	defer g.Remove()
	r, err := startReader(g, db)
	if err != nil {
		return v, err
	}
	defer r.stop()
	const spell = 2 * time.Second
	time.Sleep(spell)
	if _, err = r.next(); err != nil {
		return v, err
	}
	time.Sleep(spell)
	if v.before, err = r.next(); err != nil {
		return v, err
	}
	begin := time.Now()
	if _, err := command(g.Command(argv...)...)(); err != nil {
		return v, err
	}
	v.took = time.Since(begin)
	if v.beside, err = r.next(); err != nil {
		return v, err
	}
	time.Sleep(spell)
	v.after, err = r.next()
	return v, err
}

// evict removes a file from the page cache.
func evict(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	unix.Sync()
	return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// cacheLimits are the limits of a program's figures, 0 for none.
type cacheLimits struct{ after, median, beside float64 }

func (l cacheLimits) figures(name string, visits, others []visit) []figure {
	var all []figure
	tell := func(what string, limit float64, of func(i int, v visit) float64) {
		f := figure{What: "application in a memory cgroup, " + name + ": " + what, Limit: limit}
		for i, v := range visits {
			f.Values = append(f.Values, of(i, v))
		}
		all = append(all, f)
	}
	misses := func(t *tally) float64 { return float64(t.Misses) }
	tell("misses in the 2 s before", 0, func(_ int, v visit) float64 { return misses(v.before) })
	tell("misses in the 2 s after", 0, func(_ int, v visit) float64 { return misses(v.after) })
	tell("misses after : before", l.after, func(_ int, v visit) float64 {
		return misses(v.after) / max(1,
			misses(v.before))
	})
	tell("median read in the 2 s before, µs", 0, func(_ int, v visit) float64 { return v.before.at(0.5) })
	tell("median read in the 2 s after, µs", l.median, func(_ int, v visit) float64 { return v.after.at(0.5) })
	tell("p99 of reads in the 2 s after, µs", 0, func(_ int, v visit) float64 { return v.after.at(0.99) })
	tell("misses beside it", 0, func(_ int, v visit) float64 { return misses(v.beside) })
	tell("misses beside it : beside the shell line", l.beside, func(i int, v visit) float64 {
		return misses(v.beside) / max(1, misses(others[i].beside))
	})
	tell("wall time, s", 0, func(_ int, v visit) float64 { return v.took.Seconds() })
	return all
}
