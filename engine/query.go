package engine

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"
)

const (
	// DefaultQueryTimeout is how long a query may take where no other limit is given.
	DefaultQueryTimeout = time.Minute
	// interruptGrace is how long SQLite may take to notice an interrupt, which it looks for between
	// two opcodes.
	interruptGrace = 3 * time.Second
)

// Limits of an answer: SQLite cuts longer values, so that they are never read into memory.
const (
	maxAnswerColumns = 8
	maxAnswerValue   = 256 // characters, or bytes of a blob
)

// An Answer is the first row of a query: at most 8 columns, and 256 characters, or bytes of a blob,
// of each value.
type Answer struct {
	Row     []any // nil, int64, float64, string or []byte; no element if there was no row
	Elapsed time.Duration
}

// Holds reports whether there is a row whose first value is neither NULL, 0 nor empty.
func (a Answer) Holds() bool {
	if len(a.Row) == 0 {
		return false
	}
	switch first := a.Row[0].(type) {
	case int64:
		return first != 0
	case float64:
		return first != 0
	case string:
		return first != ""
	case []byte:
		return len(first) > 0
	}
	return false
}

// CheckQuery fails with [KindBadQuery] unless sql is one SELECT. It does not check names of tables
// and columns.
func CheckQuery(sql string) error {
	c, err := openConn("/", "mode=memory")
	if err != nil {
		return err
	}
	defer c.Close()
	inputs, err := prepare(c, sql)
	if err == nil && inputs > 0 {
		err = errors.New("its parameters have no values")
	}
	if err == nil {
		// Nothing else can follow EXISTS, and there can be no semicolon in it.
		if _, wrong := prepare(c, "SELECT EXISTS "+enclosed(sql)); wrong != nil {
			err = errors.New("it is not one SELECT")
		}
	}
	if err != nil {
		return &Error{Kind: KindBadQuery, Op: "query", Path: sql, Err: err}
	}
	return nil
}

// prepare returns how many parameters the first statement of sql has. A table or column that an
// empty database lacks is no error.
func prepare(c *conn, sql string) (inputs int, err error) {
	statement, err := c.Prepare(sql)
	if err != nil {
		if text := err.Error(); strings.HasPrefix(text, "no such table") || strings.HasPrefix(text, "no such column") {
			return 0, nil
		}
		return 0, err
	}
	defer statement.Close()
	return statement.NumInput(), nil
}

// enclosed makes a query, which may end in a comment, a subquery.
func enclosed(sql string) string { return "(\n" + strings.TrimRight(sql, "; \t\r\n") + "\n)" }

// limited makes a query stop after some rows.
func limited(sql string, rows int) string {
	return fmt.Sprintf("SELECT * FROM %s LIMIT %d", enclosed(sql), rows)
}

// Query runs one SELECT on the image and returns its first row. The connection is read-only, does
// not trust the schema, and is interrupted after the timeout (0 means [DefaultQueryTimeout]). A
// query that fails or is interrupted is [KindQuery]. If SQLite does not notice the interrupt
// because one opcode takes long, Query returns nevertheless, and the thread ends with the opcode.
func (i *Image) Query(ctx context.Context, sql string, timeout time.Duration) (Answer, error) {
	if err := CheckQuery(sql); err != nil {
		return Answer{}, err
	}
	if timeout == 0 {
		timeout = DefaultQueryTimeout
	}
	start := time.Now()
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	row, err := abandonable(bounded, func() ([]driver.Value, error) { return i.firstRow(bounded, sql) })
	switch {
	case ctx.Err() != nil:
		return Answer{}, ctx.Err()
	case bounded.Err() != nil:
		err = fmt.Errorf("no answer within %v", timeout)
	}
	if err != nil {
		return Answer{}, queryError(i.name, sql, err)
	}
	answer := Answer{Elapsed: time.Since(start)}
	for _, value := range row {
		answer.Row = append(answer.Row, value)
	}
	return answer, nil
}

// abandonable calls f and returns its results, or the context's error if f does not return within
// interruptGrace of its end.
func abandonable(ctx context.Context, f func() ([]driver.Value, error)) ([]driver.Value, error) {
	type result struct {
		row []driver.Value
		err error
	}
	done := make(chan result, 1)
	go func() {
		row, err := f()
		done <- result{row, err}
	}()
	select {
	case r := <-done:
		return r.row, r.err
	case <-ctx.Done():
	}
	select {
	case r := <-done:
		return r.row, r.err
	case <-time.After(interruptGrace):
		return nil, ctx.Err()
	}
}

// firstRow runs the query on a connection of its own.
func (i *Image) firstRow(ctx context.Context, sql string) ([]driver.Value, error) {
	c, err := i.open(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	columns, err := c.columns(ctx, limited(sql, 0))
	if err != nil {
		return nil, err
	}
	rows, err := c.query(ctx, shortened(limited(sql, 1), columns))
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0], nil
}

// open opens the image for queries.
func (i *Image) open(ctx context.Context) (*conn, error) {
	c, err := openImage(ctx, i.file, i.more...)
	if err != nil {
		return nil, err
	}
	c.SetLimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
	if err := c.exec(ctx, "PRAGMA query_only=ON"); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// columns returns how many columns a query has.
func (c *conn) columns(ctx context.Context, sql string) (int, error) {
	rows, err := c.QueryContext(ctx, sql, nil)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	count := len(rows.Columns())
	if err := rows.Next(make([]driver.Value, count)); err != io.EOF {
		return 0, err
	}
	return count, nil
}

// shortened truncates the values of a query, which is evaluated once. The driver converts values of
// columns that are declared as times or booleans, but not those of expressions.
func shortened(sql string, columns int) string {
	var names, values []string
	for n := range columns {
		name := fmt.Sprintf("c%d", n)
		names = append(names, name)
		if n < maxAnswerColumns {
			values = append(values, fmt.Sprintf(`CASE
				WHEN typeof(%[1]s) IN ('text', 'blob') AND octet_length(%[1]s) > %[2]d
				THEN substr(%[1]s, 1, %[2]d) ELSE %[1]s END`, name, maxAnswerValue))
		}
	}
	const table = `"sqlite-checkpoint: the answer"` // a name that no query uses
	return fmt.Sprintf("WITH %s(%s) AS MATERIALIZED (%s) SELECT %s FROM %s",
		table, strings.Join(names, ","), sql, strings.Join(values, ","), table)
}

// queryError classifies the error of a query.
func queryError(name, sql string, err error) error {
	e := &Error{Kind: KindQuery, Op: "query", Path: name, Err: fmt.Errorf("%s: %w", sql, err)}
	switch primary, _ := resultCode(err); {
	case primary == codeCorrupt, primary == codeNotADB:
		e.Kind, e.Findings = KindCorrupt, []string{err.Error()}
	case primary == codeIO, primary == codeCantOpen, primary == codeFull, errors.Is(err, errSwapped):
		e.Kind, e.Err = KindTemp, describe(err)
	}
	return e
}
