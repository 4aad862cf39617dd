package engine

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// predictCheck says how the check of a copy would go: SQLite checks an empty database in memory that
// has the same schema. A schema that cannot be read without SQLite counts for an ordinary one.
func (p *Prediction) predictCheck(ctx context.Context, s *sourceFile) error {
	const longest = 5 * time.Second
	p.Level = LevelQuick
	rows, err := s.readSchema(ctx)
	if err != nil || !slices.ContainsFunc(rows, schemaRow.unusual) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	c, err := openConn("/", "mode=memory")
	if err != nil {
		return nil
	}
	defer c.Close()
	k := &checker{conn: c, name: s.name}
	if err := k.imitate(ctx, rows); err != nil {
		if primary, _ := resultCode(err); primary == codeCorrupt {
			return err
		}
		return nil
	}
	level, reason, err := k.ladder(ctx)
	if err == nil && level == LevelStructural {
		p.Level, p.Reason = level, reason
		p.Findings = append(p.Findings, Finding{FindingWeakCheck,
			fmt.Sprintf("%s: %s check only: %s", s.name, level, reason)})
	}
	return nil
}

// What needs a closer look: virtual tables, collations, and what no SQLite has written.
var (
	usualSQL   = regexp.MustCompile(`^CREATE (TABLE|INDEX|UNIQUE INDEX|VIEW|TRIGGER) `)
	collateSQL = regexp.MustCompile(`(?i)\bcollate\b`)
	virtualSQL = regexp.MustCompile(`(?i)^CREATE\s+VIRTUAL\s+TABLE\b`)
	noRowidSQL = regexp.MustCompile(`(?is)\bWITHOUT\b[^)]*$`)
)

func (r schemaRow) unusual() bool {
	return r.sql != "" && !usualSQL.MatchString(r.sql) || collateSQL.MatchString(r.sql)
}

func (r schemaRow) virtual() bool { return r.kind == "table" && r.root == 0 }

// imitate gives the empty database in memory the schema. Only SQLite's own schema parser reads it,
// which runs none of it; a virtual table is made by a statement that can do nothing else.
func (k *checker) imitate(ctx context.Context, rows []schemaRow) error {
	var virtual, plain []schemaRow
	for _, row := range rows {
		if row.virtual() {
			virtual = append(virtual, row)
		}
	}
	for _, row := range rows {
		if !row.virtual() && !slices.ContainsFunc(virtual, row.belongsTo) {
			plain = append(plain, row)
		}
	}
	if err := k.fillSchema(ctx, plain); err != nil {
		return err
	}
	for _, row := range virtual {
		err := k.makeVirtual(row)
		if primary, _ := resultCode(err); primary == codeError {
			k.reasons = append(k.reasons, fmt.Sprintf("virtual table %s: %v", row.name, err))
		}
	}
	return ctx.Err()
}

// belongsTo reports whether the row is of a table in which a virtual table keeps its data.
func (r schemaRow) belongsTo(virtual schemaRow) bool {
	return strings.HasPrefix(r.table, virtual.name+"_") || r.table == virtual.name
}

// fillSchema puts rows into sqlite_schema, with empty b-trees, and has SQLite read it anew.
func (k *checker) fillSchema(ctx context.Context, rows []schemaRow) error {
	script := []string{"PRAGMA trusted_schema=OFF", "CREATE TABLE spare(x)"}
	for i, row := range rows {
		switch {
		case row.root == 0:
		case row.kind == "table" && !noRowidSQL.MatchString(row.sql):
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
		if row.sql != "" {
			sql = row.sql
		}
		_, err := k.conn.Exec("INSERT INTO sqlite_schema SELECT ?, ?, ?,"+
			" coalesce((SELECT rootpage FROM sqlite_schema WHERE name = ?), 0), ?", []driver.Value{row.kind, "new " + row.name, row.table, fmt.Sprintf("t%d", i), sql})
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
func (k *checker) makeVirtual(row schemaRow) error {
	if !virtualSQL.MatchString(row.sql) {
		return errNotVirtual
	}
	statement, err := k.conn.Prepare(row.sql)
	if err != nil {
		return err
	}
	defer statement.Close()
	_, err = statement.Exec(nil)
	return err
}
