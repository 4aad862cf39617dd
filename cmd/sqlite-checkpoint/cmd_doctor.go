package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

type doctorCmd struct {
	Paths   []string `arg:"" name:"path" help:"Databases, and directories that are searched for databases."`
	Exclude []string `placeholder:"GLOB" sep:"none" help:"Leave out files and directories that match GLOB; repeatable."`
	Tmpdir  string   `placeholder:"DIR" help:"Directory for a backup's private copy, as in backup."`
}

func (*doctorCmd) Help() string {
	return `Says for every database whether a backup to stdout would work now: ready; ready, but with findings; or would
fail, with the exit status that backup would have. Each finding has a hint. The exit status is 0, or that of the worst
database.

It reads what backup reads before it takes its first lock, and makes the same decisions. It takes no lock, makes no
copy, opens no database with SQLite and changes nothing. It does not run SQLite's check: damage inside a database is
found by the backup itself, and so is a disk quota that is used up.

  sqlite-checkpoint doctor /srv/app /var/lib/gitea/gitea.db
  sqlite-checkpoint --json doctor /srv`
}

// Run is the command.
func (cmd *doctorCmd) Run(ctx context.Context, con *console) error {
	start := time.Now()
	if slices.Contains(cmd.Paths, "") {
		return usagef("PATH is empty")
	}
	sources, err := cmd.search(ctx, con)
	if err != nil {
		return err
	}
	databases, err := cmd.examine(ctx, sources)
	if err != nil {
		return err
	}
	result := doctorResult{Command: "doctor", Paths: paths(cmd.Paths), Databases: databases}
	result.count()
	result.Elapsed = since(start)
	if err := con.show(&result); err != nil {
		return err
	}
	return result.failure()
}

// A doctorSource is a database to look at, or a path that led to none, and why.
type doctorSource struct {
	path string
	err  error
}

// search finds the databases of all paths. A path that cannot be searched counts as one that fails.
func (cmd *doctorCmd) search(ctx context.Context, con *console) (sources []doctorSource, err error) {
	var searched []string
	for _, root := range cmd.Paths {
		if dir, err := engine.Resolve(root); err == nil {
			searched = append(searched, dir)
		}
	}
	for _, root := range cmd.Paths {
		found, err := engine.FindDatabases(ctx, root, engine.FindOptions{Exclude: cmd.Exclude})
		switch {
		case ctx.Err() != nil, errors.Is(err, engine.KindPattern):
			return nil, err
		case err != nil:
			sources = append(sources, doctorSource{root, err})
			continue
		}
		count := len(sources)
		for _, database := range found.Databases {
			sources = append(sources, doctorSource{path: database})
		}
		for _, entry := range found.Skipped {
			if mayBeDatabase(entry) {
				sources = append(sources, doctorSource{path: entry.Path})
			} else {
				noteSkipped(con, entry, searched)
			}
		}
		if len(sources) == count {
			sources = append(sources, doctorSource{root, noDatabase(root)})
		}
	}
	slices.SortStableFunc(sources, func(a, b doctorSource) int { return cmp.Compare(a.path, b.path) })
	return slices.CompactFunc(sources, func(a, b doctorSource) bool { return a.path == b.path }), nil
}

// mayBeDatabase reports whether a file that this user cannot read has the name of a database, or
// a -wal beside it.
func mayBeDatabase(entry engine.Skipped) bool {
	info, err := os.Lstat(entry.Path)
	if entry.Reason != engine.SkipUnreadable || err != nil || !info.Mode().IsRegular() {
		return false
	}
	_, err = os.Lstat(entry.Path + "-wal")
	return err == nil || slices.Contains([]string{".db", ".db3", ".sqlite", ".sqlite3"}, filepath.Ext(entry.Path))
}

// noteSkipped reports what was not searched, if it may hold databases.
func noteSkipped(con *console, entry engine.Skipped, searched []string) {
	switch entry.Reason {
	case engine.SkipSymlink:
		noteLink(con, entry.Path, entry.Path, searched)
	case engine.SkipMount:
		con.warn(entry.Path + ": another file system was not searched; name it as a PATH if it holds databases")
	case engine.SkipUnreadable, engine.SkipInProcess:
		con.warn(fmt.Sprintf("%s: not searched: %v", entry.Path, cmp.Or(entry.Err, fmt.Errorf("%s", entry.Reason))))
	}
}

// examine predicts the backup of each database, a few at the same time.
func (cmd *doctorCmd) examine(ctx context.Context, sources []doctorSource) ([]doctorDatabase, error) {
	databases := make([]doctorDatabase, len(sources))
	next := make(chan int)
	var workers sync.WaitGroup
	for range 2 * runtime.NumCPU() {
		workers.Go(func() {
			for i := range next {
				databases[i] = cmd.examineOne(ctx, sources[i])
			}
		})
	}
	for i := range sources {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
	return databases, ctx.Err()
}

func (cmd *doctorCmd) examineOne(ctx context.Context, source doctorSource) doctorDatabase {
	if source.err != nil {
		return diagnosis(source.path, engine.Prediction{Err: source.err})
	}
	prediction, err := engine.Predict(ctx, source.path, engine.SnapshotOptions{TempDir: cmd.Tmpdir})
	if err != nil {
		prediction.Err = err // of the context, which ends the run
	}
	return diagnosis(source.path, prediction)
}

// failure returns the error of the worst database, if a backup would fail.
func (r *doctorResult) failure() error {
	var worst *doctorDatabase
	for i, d := range r.Databases {
		if d.ExitStatus != 0 && (worst == nil || severity(rowOf(d.kind)) > severity(rowOf(worst.kind))) {
			worst = &r.Databases[i]
		}
	}
	if worst == nil {
		return nil
	}
	hint := "follow the hints above, then run doctor again"
	if r.WouldFail == 1 {
		hint = string(worst.Findings[0].Remedy)
	}
	var names []string
	for _, name := range r.Paths {
		names = append(names, string(name))
	}
	var wrong []string
	if failing := r.WouldFail - r.none; failing > 0 {
		wrong = append(wrong, fmt.Sprintf("a backup of %d of %s would fail", failing, r.databases()))
	}
	if r.none > 0 {
		wrong = append(wrong, r.pathsWithout())
	}
	err := fmt.Errorf("doctor %s: %s", strings.Join(names, " "), strings.Join(wrong, ", "))
	return &fault{kind: worst.kind, code: worst.ExitStatus, hint: hint, err: err}
}
