package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// againstFlags compare the image with the live database that it is a backup of.
type againstFlags struct {
	Against      string    `placeholder:"DB" help:"Compare with live DB: the same schema, no table with fewer rows."`
	AtMostBehind allowance `placeholder:"N|N%" help:"With --against: how many rows each table may lack (default: 0)."`
}

// Validate rejects an allowance without a database.
func (f *againstFlags) Validate() error {
	if f.AtMostBehind != (allowance{}) && f.Against == "" {
		return errors.New("--at-most-behind needs --against")
	}
	return nil
}

// An allowance is how many rows of a table may be missing.
type allowance struct {
	rows    int64
	percent float64
}

// UnmarshalText is called by kong.
func (a *allowance) UnmarshalText(b []byte) (err error) {
	if number, found := strings.CutSuffix(string(b), "%"); found {
		a.percent, err = strconv.ParseFloat(number, 64)
	} else {
		a.rows, err = strconv.ParseInt(number, 10, 64)
	}
	if err != nil || a.rows < 0 || !(a.percent >= 0 && a.percent <= 100) {
		return errors.New("must be a number of rows, or a percentage as in 1%")
	}
	return nil
}

func (a allowance) allows(behind, of int64) bool {
	return behind <= max(a.rows, int64(math.Floor(a.percent*float64(of)/100)))
}

// againstResult is the result of the comparison.
type againstResult struct {
	Database  path          `json:"database"`
	Count     int           `json:"table_count"`
	Behind    int64         `json:"rows_behind"` // in all tables
	Tables    []tableResult `json:"tables"`      // those furthest behind first
	Uncounted []cell        `json:"uncounted,omitempty"`
}

type tableResult struct {
	Name         cell  `json:"name"`
	Rows         int64 `json:"rows"`
	MaxRowID     int64 `json:"max_rowid"`
	DatabaseRows int64 `json:"database_rows"`
	DatabaseMax  int64 `json:"database_max_rowid"`
	Behind       int64 `json:"rows_behind"`
}

// String says how far the table is behind.
func (t tableResult) String() string {
	text := fmt.Sprintf("table %s: %s behind: %d of %d", t.Name, plural(int(t.Behind), "row", "rows"), t.Rows,
		t.DatabaseRows)
	if t.DatabaseMax != 0 { // a table WITHOUT ROWID has none, nor has a virtual one
		text += fmt.Sprintf(", last rowid %d of %d", t.MaxRowID, t.DatabaseMax)
	}
	return text
}

func (r *againstResult) lines() []string {
	if r == nil {
		return nil
	}
	behind := "none"
	if r.Behind > 0 {
		behind = plural(int(r.Behind), "row", "rows")
	}
	lines := []string{fmt.Sprintf("against %s: %s, %s behind", r.Database, plural(r.Count, "table", "tables"), behind)}
	for _, name := range r.Uncounted {
		lines = append(lines, fmt.Sprintf("table %s: not counted: SQLite here lacks what it needs", name))
	}
	for _, table := range r.Tables {
		if table.Behind > 0 {
			lines = append(lines, table.String())
		}
	}
	return lines
}

// maxTables limits the length of the result.
const maxTables = 20

// takeAgainst copies the database as backup does. It returns nil without --against.
func (cmd *verifyCmd) takeAgainst(ctx context.Context, con *console) (*engine.Snapshot, error) {
	if cmd.Against == "" {
		return nil, nil
	}
	opts := engine.SnapshotOptions{Check: engine.CheckNone, TempDir: cmd.Tmpdir, Queryable: true}
	return con.takeSnapshot(ctx, cmd.Against, opts)
}

// compare compares the image with the copy of the database. The error says what differs too much.
func (cmd *verifyCmd) compare(ctx context.Context, image, live *engine.Image) (*againstResult, error) {
	found, err := image.Compare(ctx, live, cmd.QueryTimeout)
	if err != nil {
		return nil, err
	}
	result := &againstResult{Database: path(cmd.Against), Count: len(found.Tables)}
	wrong := found.Schema
	for _, pair := range found.Tables {
		if pair.Here == nil || pair.There == nil {
			continue // which the schema has said
		}
		table := tableResult{
			Name: cell{pair.Name}, Rows: pair.Here.Rows, MaxRowID: pair.Here.MaxRowID,
			DatabaseRows: pair.There.Rows, DatabaseMax: pair.There.MaxRowID, Behind: pair.Behind(),
		}
		result.Tables = append(result.Tables, table)
		result.Behind += table.Behind
		if !cmd.AtMostBehind.allows(table.Behind, table.DatabaseRows) {
			wrong = append(wrong, table.String())
		}
	}
	if len(wrong) > 0 {
		fault := proofFault(kindDiffers, "compared with "+cmd.Against, wrong)
		if len(found.Schema) > 0 {
			fault.hint = "if the application has changed its schema since the backup, verify a newer one"
		}
		return nil, fault
	}
	slices.SortStableFunc(result.Tables, func(a, b tableResult) int { return cmp.Compare(b.Behind, a.Behind) })
	result.Tables = result.Tables[:min(len(result.Tables), maxTables)]
	for _, name := range found.Uncounted[:min(len(found.Uncounted), maxTables)] {
		result.Uncounted = append(result.Uncounted, cell{name})
	}
	return result, nil
}
