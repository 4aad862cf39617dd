package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// queryFlags query the image, to prove that it is the right database.
type queryFlags struct {
	Query        []string      `sep:"none" placeholder:"SQL" help:"${query_help}"`
	QueryTimeout time.Duration `default:"60s" placeholder:"TIME" help:"Time limit of a query (default: ${default})."`
}

// maxQueries limits the length of the result.
const maxQueries = 10

// check rejects invalid queries before anything is read.
func (f *queryFlags) check() error {
	if len(f.Query) > maxQueries {
		return usagef("--query was given %d times: at most %d", len(f.Query), maxQueries)
	}
	if f.QueryTimeout <= 0 {
		return usagef("--query-timeout must be positive")
	}
	for _, sql := range f.Query {
		if err := engine.CheckQuery(sql); err != nil {
			return err
		}
	}
	return nil
}

// evidence is what was found out about an image beyond its digest.
type evidence struct {
	Restore millis         `json:"restore_ms,omitempty"` // until there was a checked database
	Queries []queryResult  `json:"queries,omitempty"`
	Against *againstResult `json:"against,omitempty"`
}

type queryResult struct {
	Query   text   `json:"query"`
	Row     []cell `json:"row"` // the first
	Elapsed millis `json:"elapsed_ms"`
}

func (e *evidence) lines() (lines []string) {
	for _, q := range e.Queries {
		lines = append(lines, fmt.Sprintf("query %s: %s", q.Query, rowText(q.Row)))
	}
	lines = append(lines, e.Against.lines()...)
	if e.Restore > 0 {
		lines = append(lines, fmt.Sprintf("time to restore: %.3g s", time.Duration(e.Restore).Seconds()))
	}
	return lines
}

// needsImage reports whether SQLite is to read the image.
func (cmd *verifyCmd) needsImage() bool {
	return cmd.Check != engine.CheckNone || len(cmd.Query) > 0 || cmd.Against != ""
}

// prove puts the image into the temp directory, where SQLite checks it, and then queries it.
func (cmd *verifyCmd) prove(ctx context.Context, con *console, in *input, src string, live *engine.Snapshot) (
	info engine.Info, e evidence, err error) {
	opts := engine.VerifyOptions{Check: cmd.Check, TempDir: cmd.Tmpdir, Progress: con.progress.engine}
	if cmd.Check == engine.CheckNone {
		opts.Check = engine.CheckAuto
	}
	if opts.Size, err = in.ImageSize(); err != nil {
		return info, e, err
	}
	image, err := engine.ReadImage(ctx, in, src, opts)
	if err != nil {
		return info, e, err
	}
	defer image.Close()
	e.Restore = since(in.opened)
	con.progress.show("querying", 0, 0)
	if e.Queries, err = cmd.ask(ctx, image); err != nil {
		return info, e, err
	}
	if live != nil {
		e.Against, err = cmd.compare(ctx, image, live.Image())
	}
	return image.Info(), e, err
}

// ask runs all queries. The error lists those that failed or returned a false value.
func (f *queryFlags) ask(ctx context.Context, image *engine.Image) (results []queryResult, err error) {
	var wrong []string
	for _, sql := range f.Query {
		answer, err := image.Query(ctx, sql, f.QueryTimeout)
		var failed *engine.Error
		switch {
		case errors.Is(err, engine.KindQuery) && errors.As(err, &failed):
			wrong = append(wrong, failed.Err.Error())
			continue
		case err != nil:
			return nil, err
		}
		result := queryResult{Query: text(sql), Row: cells(answer.Row), Elapsed: millis(answer.Elapsed)}
		results = append(results, result)
		if !answer.Holds() {
			wrong = append(wrong, fmt.Sprintf("%s returned %s", sql, rowText(result.Row)))
		}
	}
	if len(wrong) > 0 {
		return results, proofFault(engine.KindQuery, "a query failed", wrong)
	}
	return results, nil
}

// proofFault is the error of an image that fails a proof: the first reason in the message, all of
// them in the findings.
func proofFault(kind engine.Kind, what string, reasons []string) *fault {
	f := &fault{kind: kind, err: fmt.Errorf("%s: %s", what, reasons[0])}
	if len(reasons) > 1 {
		f.findings = reasons
	}
	return f
}

// A cell is a value as SQLite gave it, in JSON of limited length.
type cell struct{ value any }

func cells(row []any) []cell {
	list := make([]cell, 0, len(row))
	for _, value := range row {
		list = append(list, cell{value})
	}
	return list
}

func (c cell) MarshalJSON() ([]byte, error) {
	const limit = 256
	switch value := c.value.(type) {
	case nil:
		return []byte("null"), nil
	case int64:
		return strconv.AppendInt(nil, value, 10), nil
	case float64:
		if !math.IsInf(value, 0) {
			return strconv.AppendFloat(nil, value, 'g', -1, 64), nil
		}
	case string:
		return fit(value, limit), nil
	}
	return fit(c.String(), limit), nil
}

// String is the value as an SQL literal, but for the quotes of a text.
func (c cell) String() string {
	switch value := c.value.(type) {
	case nil:
		return "NULL"
	case []byte:
		return "x'" + hex.EncodeToString(value) + "'"
	case string:
		if value == "" {
			return "''"
		}
	}
	return fmt.Sprint(c.value)
}

// rowText returns a row for people.
func rowText(cells []cell) string {
	if len(cells) == 0 {
		return "no row"
	}
	var words []string
	for _, c := range cells {
		words = append(words, c.String())
	}
	return strings.Join(words, ", ")
}
