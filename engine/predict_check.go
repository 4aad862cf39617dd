package engine

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"
)

// predictCheck predicts the check of a copy: it has SQLite check an empty database in memory that
// has the same schema. A schema that cannot be read without SQLite counts as an ordinary one.
func (p *Prediction) predictCheck(ctx context.Context, s *sourceFile) error {
	const longest = 5 * time.Second
	p.Level = LevelQuick
	rows, err := s.schema(ctx)
	if err != nil || !slices.ContainsFunc(rows, unusual) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	c, err := openConn("/", "mode=memory")
	if err != nil {
		return nil
	}
	defer c.Close()
	k := &checker{conn: c, name: s.name, limit: longest}
	if err := k.recreateSchema(ctx, rows); err != nil {
		if primary, _ := resultCode(err); primary == codeCorrupt {
			return err
		}
		return nil
	}
	level, reason, err := k.auto(ctx)
	if err != nil && ctx.Err() != nil { // that of the copy, with its rows, would take longer
		level, reason, err = LevelStructural, errTooLong.Error(), nil
	}
	if err == nil && level == LevelStructural {
		p.Level, p.Reason = level, reason
		p.Findings = append(p.Findings, Finding{FindingWeakCheck,
			fmt.Sprintf("%s: %s check only: %s", s.name, level, reason)})
	}
	return nil
}

func (s *sourceFile) schema(ctx context.Context) ([]sqlitefile.SchemaRow, error) {
	wal := sqlitefile.OpenAux(s.path + "-wal")
	defer wal.Close()
	return sqlitefile.ReadSchema(ctx, s.file, s.header, wal)
}

// What needs a closer look: virtual tables, collations, generated columns, and what no version of
// SQLite writes.
var (
	usualSQL   = regexp.MustCompile(`^CREATE (TABLE|INDEX|UNIQUE INDEX|VIEW|TRIGGER) `)
	specialSQL = regexp.MustCompile(`(?i)\bcollate\b|\bas\s*\(`)
	virtualSQL = regexp.MustCompile(`(?i)^CREATE\s+VIRTUAL\s+TABLE\b`)
	noRowidSQL = regexp.MustCompile(`(?is)\bWITHOUT\b[^)]*$`)
)

func unusual(r sqlitefile.SchemaRow) bool {
	return r.SQL != "" && !usualSQL.MatchString(r.SQL) || specialSQL.MatchString(r.SQL)
}

// recreateSchema gives the empty database in memory the schema. Only SQLite's own schema parser
// reads it, which runs none of it; a virtual table is made by a statement that can do nothing else.
func (k *checker) recreateSchema(ctx context.Context, rows []sqlitefile.SchemaRow) error {
	var virtual, plain []sqlitefile.SchemaRow
	for _, row := range rows {
		if row.Virtual() {
			virtual = append(virtual, row)
		}
	}
	for _, row := range rows {
		if !row.Virtual() && !slices.ContainsFunc(virtual, row.BelongsTo) {
			plain = append(plain, row)
		}
	}
	if err := k.fillSchema(ctx, plain); err != nil {
		return err
	}
	for _, row := range virtual {
		err := k.makeVirtual(row)
		if primary, _ := resultCode(err); primary == codeError {
			k.reasons = append(k.reasons, fmt.Sprintf("virtual table %s: %v", row.Name, err))
		}
	}
	return ctx.Err()
}

// fillSchema puts rows into sqlite_schema, with empty b-trees, and has SQLite read it again.
func (k *checker) fillSchema(ctx context.Context, rows []sqlitefile.SchemaRow) error {
	script := []string{"PRAGMA trusted_schema=OFF", "CREATE TABLE spare(x)"}
	for i, row := range rows {
		switch {
		case row.Root == 0:
		case row.Kind == "table" && !noRowidSQL.MatchString(row.SQL):
			script = append(script, fmt.Sprintf("CREATE TABLE t%d(x)", i))
		default:
			script = append(script, fmt.Sprintf("CREATE INDEX t%d ON spare(x)", i))
		}
	}
	for _, statement := range append(script, "PRAGMA writable_schema=ON") {
		if err := k.conn.exec(ctx, statement); err != nil {
			return err
		}
	}
	for i, row := range rows {
		var sql driver.Value
		if row.SQL != "" {
			sql = row.SQL
		}
		_, err := k.conn.Exec("INSERT INTO sqlite_schema SELECT ?, ?, ?,"+
			" coalesce((SELECT rootpage FROM sqlite_schema WHERE name = ?), 0), ?",
			[]driver.Value{row.Kind, "new " + row.Name, row.Table, fmt.Sprintf("t%d", i), sql})
		if err != nil {
			return err
		}
	}
	for _, statement := range []string{
		"DELETE FROM sqlite_schema WHERE name NOT LIKE 'new %' AND name <> 'spare'",
		"UPDATE sqlite_schema SET name = substr(name, 5) WHERE name <> 'spare'",
		"PRAGMA writable_schema=RESET", "SELECT 1 FROM sqlite_schema",
	} {
		if err := k.conn.exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

var errNotVirtual = errors.New("not a virtual table")

// makeVirtual runs one statement, whatever follows it in the text.
func (k *checker) makeVirtual(row sqlitefile.SchemaRow) error {
	if !virtualSQL.MatchString(row.SQL) {
		return errNotVirtual
	}
	statement, err := k.conn.Prepare(row.SQL)
	if err != nil {
		return err
	}
	defer statement.Close()
	_, err = statement.(driver.StmtExecContext).ExecContext(context.Background(), nil)
	return err
}
