package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// A Table describes the rows of a table.
type Table struct {
	Rows     int64
	MaxRowID int64 // 0 if it has no rowid
}

// A TablePair is a table of that name in two databases; nil where it is missing.
type TablePair struct {
	Name        string
	Here, There *Table
}

// Behind returns how many fewer rows there are Here than There, or 0 if there are not fewer.
func (p TablePair) Behind() int64 {
	switch {
	case p.There == nil:
		return 0
	case p.Here == nil:
		return p.There.Rows
	}
	return max(0, p.There.Rows-p.Here.Rows)
}

// A Comparison is the result of [Image.Compare].
type Comparison struct {
	Schema    []string    // the differences, a line each
	Tables    []TablePair // sorted by name, without the tables in which virtual ones keep their data
	Uncounted []string    // virtual tables whose module this build lacks
}

// Compare compares the image with another one, such as a snapshot of the live database: their
// schemas and how many rows their tables have. It reads both in full. The rows of virtual tables,
// which a view may supply, are counted by [Image.Query] with this timeout. Errors are of type
// [*Error] and name the image that failed, or are the context's.
func (i *Image) Compare(ctx context.Context, there *Image, timeout time.Duration) (Comparison, error) {
	a, err := i.survey(ctx, timeout)
	if err != nil {
		return Comparison{}, err
	}
	b, err := there.survey(ctx, timeout)
	if err != nil {
		return Comparison{}, err
	}
	c := Comparison{Schema: schemaDifferences(a.schema, b.schema)}
	for _, name := range union(a.tables, b.tables) {
		here, there := a.tables[name], b.tables[name]
		if a.uncounted[name] || b.uncounted[name] {
			c.Uncounted = append(c.Uncounted, name)
			continue
		}
		c.Tables = append(c.Tables, TablePair{name, here, there})
	}
	return c, nil
}

// union returns the keys of both maps, sorted.
func union[V any](a, b map[string]V) []string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(names)
	return slices.Compact(names)
}

func schemaDifferences(here, there map[string]string) (lines []string) {
	for _, object := range union(here, there) {
		a, inHere := here[object]
		b, inThere := there[object]
		switch {
		case !inHere:
			lines = append(lines, object+" is missing")
		case !inThere:
			lines = append(lines, object+" is not in the other database")
		case a != b:
			lines = append(lines, object+" is defined differently")
		}
	}
	return lines
}

// A survey is what Compare compares.
type survey struct {
	schema    map[string]string // the SQL of "table t", "index i", ...
	tables    map[string]*Table
	uncounted map[string]bool
}

func (i *Image) survey(ctx context.Context, timeout time.Duration) (*survey, error) {
	c, err := i.open(ctx)
	if err != nil {
		return nil, checkError(i.name, err)
	}
	defer c.Close()
	s := &survey{schema: map[string]string{}, tables: map[string]*Table{}, uncounted: map[string]bool{}}
	virtual, err := s.read(ctx, c)
	if err != nil {
		return nil, checkError(i.name, err)
	}
	for _, name := range virtual {
		s.tables[name] = &Table{}
		answer, err := i.Query(ctx, "SELECT count(*) FROM "+quote(name), timeout)
		if primary, _ := resultCode(err); primary == codeError {
			s.uncounted[name] = true
			continue
		}
		if err != nil {
			return nil, err
		}
		s.tables[name].Rows = answer.Row[0].(int64)
	}
	return s, nil
}

// read reads the schema, counts the rows of the ordinary tables, and returns the names of the
// virtual ones. What SQLite keeps for itself (sqlite_stat1 ...) is left out.
func (s *survey) read(ctx context.Context, c *conn) (virtual []string, err error) {
	objects, err := c.query(ctx, `SELECT type, name, tbl_name || ': ' || sql FROM sqlite_schema
		WHERE name NOT LIKE 'sqlite\_%' ESCAPE '\'`)
	if err != nil {
		return nil, err
	}
	for _, row := range objects {
		s.schema[fmt.Sprintf("%v %v", row[0], row[1])] = fmt.Sprint(row[2])
	}
	tables, err := c.query(ctx, `SELECT name, type = 'virtual', wr FROM pragma_table_list
		WHERE schema = 'main' AND type IN ('table', 'virtual') AND name NOT LIKE 'sqlite\_%' ESCAPE '\'`)
	if err != nil {
		return nil, err
	}
	for _, row := range tables {
		name := fmt.Sprint(row[0])
		if row[1] == int64(1) {
			virtual = append(virtual, name)
		} else if s.tables[name], err = count(ctx, c, name, row[2] == int64(1)); err != nil {
			return nil, err
		}
	}
	return virtual, nil
}

// count counts the rows of a table. If a column is called rowid, the maximum is that column's, or
// 0.
func count(ctx context.Context, c *conn, name string, withoutRowID bool) (*Table, error) {
	rows, err := c.queryInt(ctx, "SELECT count(*) FROM "+quote(name))
	if err != nil || withoutRowID {
		return &Table{Rows: rows}, err
	}
	answer, err := c.query(ctx, "SELECT max(rowid) FROM "+quote(name))
	if err != nil {
		return nil, err
	}
	last, _ := answer[0][0].(int64)
	return &Table{rows, last}, nil
}
