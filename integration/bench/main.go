// Command bench compares the program with the commands that a user would otherwise type, one after
// the other in the same run, and reports which targets it misses.
//
//	go run ./integration/bench                          100 kB, 64 MB and 1 GB, five rounds each
//	go run ./integration/bench -size 8GB -only snapshot -pairs 3
//
// Start it in the repository's root, after make build.
//
// contests.go has the comparisons; sending.go measures the CPU time of sending, usage.go memory and
// disk, shards.go the growth of a repository (-size 250MB), cache.go an application that keeps
// reading, writer.go one that keeps writing. All results are kept in the work directory, so the
// tables and the plot include those of earlier runs.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A bench says what is measured, and where.
type bench struct {
	program string
	dir     string
	rounds  int
	only    []string // parts of the work; empty for all
	out     *store
}

func main() {
	if isTask, err := runTask(os.Args[1:]); isTask {
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	sizes := sizeList{100e3, 64e6, 1e9}
	flag.Var(&sizes, "size", "sizes of databases, such as 100kB,64MB,1GB,8GB")
	pairs := flag.Int("pairs", 5, "rounds, in each of which everything runs once")
	only := flag.String("only", "", "only these, separated by commas: "+strings.Join(parts(), ", "))
	dir := flag.String("dir", filepath.Join(os.TempDir(), "sqlite-checkpoint-bench"),
		"work directory, which keeps databases and results")
	program := flag.String("program", "bin/sqlite-checkpoint", "the program to measure")
	plot := flag.String("plot", "", "file for a plot of all results, as SVG")
	flag.Parse()
	if err := run(&bench{program: *program, dir: *dir, rounds: *pairs, only: list(*only)}, sizes, *plot); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// runTask does the work for which bench starts itself.
func runTask(args []string) (isTask bool, err error) {
	switch {
	case len(args) == 3 && args[0] == compressCommand:
		return true, compress(args[1], args[2])
	case len(args) == 2 && args[0] == spliceCommand:
		return true, splice(args[1])
	case len(args) == 2 && args[0] == readCommand:
		return true, readHot(args[1])
	}
	return false, nil
}

func run(b *bench, sizes []int64, plot string) (err error) {
	if err := b.prepare(); err != nil {
		return err
	}
	for _, size := range sizes {
		if err := b.measure(size); err != nil {
			return err
		}
	}
	b.out.print(os.Stdout)
	if plot == "" || len(b.out.curves()) == 0 {
		return nil
	}
	return os.WriteFile(plot, b.out.plot(), 0o644)
}

// prepare makes the work directory. All programs put their temporary files there, so that they use
// the same disk.
func (b *bench) prepare() (err error) {
	for _, part := range b.only {
		if !slices.Contains(parts(), part) {
			return fmt.Errorf("-only %s: there are %s", part, strings.Join(parts(), ", "))
		}
	}
	if b.program, err = filepath.Abs(b.program); err != nil {
		return err
	}
	if b.dir, err = filepath.Abs(b.dir); err != nil {
		return err
	}
	if err := os.RemoveAll(b.path("tmp")); err != nil {
		return err
	}
	if err := os.MkdirAll(b.path("tmp"), 0o755); err != nil {
		return err
	}
	os.Setenv("TMPDIR", b.path("tmp"))
	os.Unsetenv("SQLITE_TMPDIR")
	b.out, err = openStore(b.path("results.json"))
	return err
}

// measure measures everything with a database of one size.
func (b *bench) measure(size int64) error {
	db, err := database(b.dir, size)
	if err != nil {
		return err
	}
	for _, c := range b.contests(db) {
		if !b.wants(c.name) {
			continue
		}
		if err := b.runContest(c, size); err != nil {
			return err
		}
	}
	if b.wants("sending") && size >= 10e6 {
		if err := b.sending(db, size); err != nil {
			return err
		}
	}
	if b.wants("usage") {
		if err := b.usage(db, size); err != nil {
			return err
		}
	}
	if b.wants("cache") && large.contain(size) {
		if err := b.caches(db, size); err != nil {
			return err
		}
	}
	if b.wants("shards") && quarter.contain(size) {
		if err := b.growth(db, size); err != nil {
			return err
		}
	}
	if b.wants("writer") && size >= 10e6 {
		return b.writers(db, size)
	}
	return nil
}

func (b *bench) wants(part string) bool { return len(b.only) == 0 || slices.Contains(b.only, part) }

// path returns the path of a file in the work directory.
func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

func list(s string) []string {
	return slices.DeleteFunc(strings.Split(s, ","), func(s string) bool { return s == "" })
}

// parts are the names for -only.
func parts() []string {
	names := []string{}
	for _, c := range new(bench).contests("") {
		names = append(names, c.name)
	}
	return append(names, "sending", "usage", "cache", "shards", "writer")
}
