package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"
)

// maxFindings is how many problems a check reports.
const maxFindings = 10

// maxMapped is the most that SQLite maps of a file, in bytes.
const maxMapped = 0x7fff0000

// checkImage has SQLite check the private file. It returns the level that the file has passed, and
// the reason if that is less than was asked for. name is what messages call the database, start how
// goroutines are started; pragmas are openImage's. A check that is interrupted fails with the
// interruption, whatever SQLite says meanwhile.
func checkImage(
	ctx context.Context, image *os.File, name string, check Check, start goFunc, pragmas ...string,
) (level Level, reason string, err error) {
	if check == CheckNone {
		return LevelNone, "", nil
	}
	level, reason, err = runCheck(ctx, image, name, check, start, pragmas...)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return level, reason, err
}

func runCheck(
	ctx context.Context, image *os.File, name string, check Check, start goFunc, pragmas ...string,
) (Level, string, error) {
	c, err := openImage(ctx, image, pragmas...)
	if isIOError(err) || errors.Is(err, errSwapped) {
		return "", "", tempError("open", image.Name(), err)
	}
	if err != nil {
		return "", "", checkError(name, err)
	}
	defer c.Close()
	info, err := image.Stat()
	if err != nil {
		return "", "", tempError("open", image.Name(), err)
	}
	k := checker{conn: c, name: name, limit: costLimit(info.Size())}
	switch check {
	case CheckFull:
		return k.exactly(ctx, LevelFull, func(ctx context.Context) error { return k.full(ctx, image, start) })
	case CheckQuick:
		return k.exactly(ctx, LevelQuick, func(ctx context.Context) error { return k.run(ctx, "quick_check", "") })
	default:
		return k.auto(ctx)
	}
}

// maxPattern is how long a pattern of LIKE may be, in bytes: matching takes time in proportion to
// its length times that of the text.
const maxPattern = 1000

// openImage opens a private image for a check and sets the pragmas, besides its own.
//
// The connection is read-only on purpose: only then does the check not run the CHECK constraints of
// a hostile schema. Generated columns are computed, so values are limited to about the length of
// the image, which no stored value exceeds. Mapping the file is safe because no other process can
// truncate it.
func openImage(ctx context.Context, image *os.File, pragmas ...string) (*conn, error) {
	info, err := image.Stat()
	if err != nil {
		return nil, err
	}
	c, err := openPrivate(image, nil, "mode=ro", "immutable=1")
	if err != nil {
		return nil, err
	}
	c.SetLimit(sqlite3.SQLITE_LIMIT_LENGTH, int(min(max(info.Size(), 1<<20), 1e9)))
	c.SetLimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, maxPattern)
	mapped := fmt.Sprintf("mmap_size=%d", maxMapped)
	pragmas = append([]string{"trusted_schema=OFF", "cell_size_check=ON", mapped}, pragmas...)
	for _, pragma := range pragmas {
		if err := c.exec(ctx, "PRAGMA "+pragma); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// A checker checks one image through one connection.
type checker struct {
	conn    *conn
	name    string
	limit   time.Duration // of bounded
	reasons []string      // why less than was asked for could be checked
}

// exactly runs the check that was asked for, and accepts nothing weaker.
func (k *checker) exactly(
	ctx context.Context, level Level, check func(ctx context.Context) error,
) (Level, string, error) {
	err := k.bounded(ctx, check)
	if err == nil {
		_, err = k.unknownTables(ctx)
	}
	if err == nil && len(k.reasons) > 0 {
		err = errors.New(k.reason())
	}
	if err != nil {
		return "", "", checkError(k.name, err)
	}
	return level, "", nil
}

// auto runs quick_check and, where the application's collations or virtual tables are missing, what
// is left of it.
func (k *checker) auto(ctx context.Context) (Level, string, error) {
	err := k.quick(ctx, "")
	if primary, _ := resultCode(err); primary == codeError || primary == codeTooBig || errors.Is(err, errTooLong) {
		err = k.eachTable(ctx)
	} else if err == nil {
		_, err = k.unknownTables(ctx)
	}
	if err != nil {
		return "", "", checkError(k.name, err)
	}
	if len(k.reasons) > 0 {
		return LevelStructural, k.reason(), nil
	}
	return LevelQuick, "", nil
}

// run runs one check, of one table unless that is empty. It must answer with a single "ok".
func (k *checker) run(ctx context.Context, pragma, table string) error {
	argument := fmt.Sprint(maxFindings)
	if table != "" {
		argument = quote(table)
	}
	rows, err := k.conn.queryStrings(ctx, fmt.Sprintf("PRAGMA %s(%s)", pragma, argument))
	if primary, _ := resultCode(err); primary == codeCorrupt { // too badly to go on
		return &findings{append(rows, err.Error())}
	}
	if primary, _ := resultCode(err); primary != 0 && len(rows) > 0 { // found before it had to stop
		return &findings{rows}
	}
	if err != nil {
		return err
	}
	if len(rows) == 1 && rows[0] == "ok" {
		return nil
	}
	return &findings{rows}
}

// findings is the answer of a check that is not "ok".
type findings struct{ rows []string }

func (f *findings) Error() string { return "SQLite's check found damage" }

// list returns what to show: at most maxFindings, without the heading that SQLite puts in one row
// with the first.
func (f *findings) list() []string {
	var all []string
	for _, row := range f.rows {
		for line := range strings.Lines(row) {
			if line = strings.TrimSpace(line); line != "" && line != "*** in database main ***" {
				all = append(all, line)
			}
		}
	}
	return all[:min(len(all), maxFindings)]
}

var noCollation = regexp.MustCompile(`no such collation sequence: (.+)$`)

// withCollations runs check, and registers a placeholder for each collation that is missing. The
// placeholder's order is not the application's, so what it passes is less than a quick check.
func (k *checker) withCollations(check func() error) error {
	for known := map[string]bool{}; ; {
		err := check()
		var text string
		if err != nil {
			text = err.Error()
		}
		match := noCollation.FindStringSubmatch(text)
		if match == nil || known[match[1]] {
			return err
		}
		known[match[1]] = true
		k.reasons = append(k.reasons, text)
		if err := k.conn.RegisterCollation(match[1], strings.Compare); err != nil {
			return err
		}
	}
}

// tooCostly reports whether the check gave up on a value that exceeds the limits of openImage. The
// structure of all tables has been checked by then.
func tooCostly(err error) bool {
	primary, _ := resultCode(err)
	return primary == codeTooBig || err != nil && strings.Contains(err.Error(), "LIKE or GLOB pattern too complex")
}

// unknownTables finds the virtual tables that cannot be opened here, by trying. The reasons say
// why.
func (k *checker) unknownTables(ctx context.Context) (map[string]bool, error) {
	tables, err := k.conn.queryStrings(ctx, "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage = 0")
	if err != nil {
		return nil, err
	}
	unknown := map[string]bool{}
	for _, table := range tables {
		_, err := k.conn.query(ctx, fmt.Sprintf("SELECT 1 FROM %s LIMIT 0", quote(table)))
		if err == nil {
			continue
		}
		if primary, _ := resultCode(err); primary != codeError && !tooCostly(err) {
			return nil, err
		}
		unknown[table] = true
		k.reasons = append(k.reasons, fmt.Sprintf("virtual table %s: %v", table, err))
	}
	return unknown, nil
}

func (k *checker) reason() string { return strings.Join(k.reasons, "; ") }

// quote makes an SQL identifier of any name.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
