package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// quick runs quick_check, of one table unless that is empty, for as long as bounded allows.
func (k *checker) quick(ctx context.Context, table string) error {
	return k.bounded(ctx, func(ctx context.Context) error {
		return k.withCollations(func() error { return k.run(ctx, "quick_check", table) })
	})
}

const (
	// maxVisits bounds how often eachTable has SQLite look at an entry of the schema: each check of
	// a table goes through the list of all tables.
	maxVisits = 2_000_000
	// maxSlow is how many tables may take too long before eachTable does no more.
	maxSlow = 3
)

// eachTable checks table by table and leaves out the virtual ones that cannot be opened or checked
// here; the tables in which they keep their data are checked like any other. Only the structure is
// checked where tables are too many, and of a table whose check takes too long or whose generated
// columns need a function of the application.
func (k *checker) eachTable(ctx context.Context) error {
	unknown, err := k.unknownTables(ctx)
	if err != nil {
		return err
	}
	tables, err := k.conn.query(ctx, "SELECT 'sqlite_schema', FALSE UNION ALL SELECT * FROM "+
		"(SELECT name, rootpage = 0 FROM sqlite_schema WHERE type = 'table' ORDER BY rootpage <> 0, rowid)")
	if err != nil {
		return err
	}
	walk := sync.OnceValues(func() (bool, error) { return k.walk(ctx) })
	most, slow := maxVisits/len(tables), 0
	for i, row := range tables {
		if i >= most || slow >= maxSlow {
			walked, broken := walk()
			if walked {
				rest := fmt.Sprintf("%d of %d tables: structure only", len(tables)-i, len(tables))
				k.reasons = append(k.reasons, rest)
			}
			if walked || broken != nil {
				return broken
			}
		}
		table, virtual := fmt.Sprint(row[0]), row[1] == int64(1)
		if unknown[table] {
			continue
		}
		err := k.quick(ctx, table)
		if errors.Is(err, errTooLong) {
			slow++
		}
		if err != nil {
			err = k.excuse(table, virtual, err, walk)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// excuse takes the failed check of a table for a reason, unless the table may be damaged.
func (k *checker) excuse(table string, virtual bool, err error, walk func() (bool, error)) error {
	reason := fmt.Sprintf("table %s: %v", table, err)
	if virtual {
		reason = "virtual " + reason
	}
	switch primary, _ := resultCode(err); {
	case virtual && primary == codeError: // FTS5 opens without its tokenizer
	case tooCostly(err):
		reason = fmt.Sprintf("table %s: a generated column is too costly: %v", table, err)
	case errors.Is(err, errTooLong), primary == codeError && strings.HasPrefix(err.Error(), "unknown function: "):
		if walked, broken := walk(); !walked {
			return cmp.Or(broken, err)
		}
	default:
		return err
	}
	k.reasons = append(k.reasons, reason)
	return nil
}

// walk goes through the pages of all b-trees once. It does nothing, and returns false, where SQLite
// has no dbstat table.
func (k *checker) walk(ctx context.Context) (bool, error) {
	rows, err := k.conn.queryStrings(ctx, fmt.Sprintf(
		"SELECT 'page ' || pageno || ' of ' || name || ' is malformed' FROM dbstat "+
			"WHERE pagetype = 'corrupted' LIMIT %d", maxFindings))
	switch primary, _ := resultCode(err); {
	case primary == codeError:
		return false, nil
	case primary == codeCorrupt:
		rows = append(rows, err.Error())
	case err != nil:
		return false, err
	}
	if len(rows) > 0 {
		return false, &findings{rows}
	}
	return true, nil
}
