package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
)

// maxCheckers is how many connections check one image at the same time: each has a page cache of
// its own.
const maxCheckers = 8

// maxParts is how many tables are checked each by itself: every such check goes through the list of
// all tables.
const maxParts = 500

// full does what PRAGMA integrity_check does, on all cores: one check of the structure of
// everything, the freelist and unused pages included, beside one check of the contents of each
// table and its indexes.
func (k *checker) full(ctx context.Context, image *os.File, start goFunc) error {
	n, err := k.conn.queryInt(ctx, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'")
	if err != nil {
		return err
	}
	if n > maxParts {
		return k.run(ctx, "integrity_check", "")
	}
	tables, err := k.tablesBySize(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make([]error, len(tables)+1) // the structure's first
	jobs := make(chan int)
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), maxCheckers, len(results)) {
		workers.Add(1)
		start.run(func() {
			defer workers.Done()
			c, err := openImage(ctx, image)
			if err == nil {
				defer c.Close()
				// Each search in an index would measure all cells of the pages it meets, which the
				// check itself does once.
				err = c.exec(ctx, "PRAGMA cell_size_check=OFF")
			}
			for job := range jobs {
				if results[job] = cmp.Or(err, ctx.Err()); results[job] == nil {
					results[job] = checkPart(ctx, c, job, tables)
				}
				if stops(results[job]) {
					cancel()
				}
			}
		})
	}
	for i := range results {
		jobs <- (i + 1) % len(results) // the largest table first
	}
	close(jobs)
	workers.Wait()
	return merge(results)
}

// checkPart runs one of the checks: the structure's is job 0, that of tables[i] is job i+1.
func checkPart(ctx context.Context, c *conn, job int, tables []string) error {
	part := checker{conn: c}
	if job == 0 {
		return part.run(ctx, "quick_check", "")
	}
	return part.run(ctx, "integrity_check", tables[job-1])
}

// stops reports whether err, a check that could not be done, makes the other results worthless.
func stops(err error) bool {
	var found *findings
	return err != nil && !errors.As(err, &found)
}

// merge joins the findings of the parts, without duplicates.
func merge(results []error) error {
	var all []string
	var cancelled error
	for _, err := range results {
		var found *findings
		switch {
		case errors.As(err, &found):
			for _, line := range found.list() {
				if !slices.Contains(all, line) {
					all = append(all, line)
				}
			}
		case errors.Is(err, context.Canceled): // because of another part, which says more
			cancelled = err
		case err != nil:
			return err
		}
	}
	if len(all) > 0 {
		return &findings{all}
	}
	return cancelled
}

// tablesBySize lists all tables, those with most rows first, as far as that is cheap to know: what
// takes long has to begin early.
func (k *checker) tablesBySize(ctx context.Context) ([]string, error) {
	tables, err := k.conn.queryStrings(ctx, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rootpage = 0")
	if err != nil {
		return nil, err
	}
	tables = append(tables, "sqlite_schema")
	stored, err := k.conn.queryStrings(ctx, "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0")
	if err != nil {
		return nil, err
	}
	rows := map[string]int64{}
	for _, table := range stored {
		// An error, as for a table WITHOUT ROWID, is for the check to report, if it is one.
		rows[table], _ = k.conn.queryInt(ctx, fmt.Sprintf("SELECT max(rowid) FROM %s", quote(table)))
	}
	slices.SortStableFunc(tables, func(a, b string) int { return cmp.Compare(rows[b], rows[a]) })
	return tables, nil
}
