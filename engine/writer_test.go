package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit/ledger"
)

// TestMain lets the test binary also be another process of a test.
func TestMain(m *testing.M) {
	testkit.Roles{ledger.Role: ledger.Write, pinHolder: holdPin, hotReader: readHot}.Play()
	os.Exit(testkit.LeakChecked(m).Run())
}

// pinHolder is the role of a process that holds a snapshot's pin on a database.
const pinHolder = "pin holder"

// holdPin reads db as a snapshot does until its standard input ends.
func holdPin(db string) error {
	src, err := openSource("open", db)
	if err != nil {
		return err
	}
	defer src.Close()
	return retry(context.Background(), 0, func() error {
		p, err := src.beginRead(context.Background(), os.TempDir())
		if err != nil {
			return err
		}
		defer p.Close()
		testkit.Ready()
		<-testkit.UntilEOF()
		return nil
	})
}

// TestOpeningsBesideWriter opens the source and begins to read beside a writer that is as fast as
// possible: no race with it causes an error.
func TestOpeningsBesideWriter(t *testing.T) {
	openings := 2000
	if testing.Short() {
		openings = 200
	}
	if n, err := strconv.Atoi(os.Getenv("OPENINGS")); err == nil {
		openings = n
	}
	for _, mode := range []string{"WAL", "DELETE"} {
		t.Run(mode, func(t *testing.T) {
			db := filepath.Join(t.TempDir(), "ledger.db")
			sqlite(t, db, "PRAGMA journal_mode="+mode+";", ledger.Schema)
			writer := ledger.Start(t, ledger.Order{DB: db, BusyTimeout: 10 * time.Second})
			src, err := openSource("open", db)
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			ctx, temp, start, retries := context.Background(), t.TempDir(), time.Now(), map[string]int{}
			if mode == "DELETE" {
				openings /= 10 // each has to wait for its turn
			}
			for range openings {
				err := retry(ctx, 0, func() error {
					p, err := src.beginRead(ctx, temp)
					if err != nil {
						retries[err.Error()]++
						return err
					}
					defer p.Close()
					sum, err := p.conn.queryInt(ctx, ledger.Sum)
					if err == nil && fmt.Sprint(sum) != ledger.Total {
						t.Errorf("sum %d", sum)
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			elapsed := time.Since(start)
			t.Logf("%d openings in %v beside %+v; retried: %v", openings, elapsed, writer.Stop(), retries)
		})
	}
}
