package engine

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// TestMain lets the test binary be the writer of a test, too: a process of its own, as an
// application is.
func TestMain(m *testing.M) {
	if db := os.Getenv("ENGINE_TEST_WRITER"); db != "" {
		if err := runWriter(db); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		return
	}
	if db := os.Getenv("ENGINE_TEST_PIN"); db != "" {
		if err := holdPin(db); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(testkit.LeakChecked(m).Run())
}

// invariant is the sum over both tables that every commit keeps.
const invariant = 2_000_000

// newLedger makes a database of two tables whose sums change together. Its WAL is small, so that it
// restarts often.
func newLedger(t testing.TB, mode string) string {
	t.Helper()
	db := filepath.Join(t.TempDir(), "ledger.db")
	sqlite(t, db, "PRAGMA journal_mode="+mode+";", `
CREATE TABLE a(id INTEGER PRIMARY KEY, v INTEGER, filler BLOB);
CREATE TABLE b(id INTEGER PRIMARY KEY, v INTEGER, filler BLOB);
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<1000) INSERT INTO a SELECT i, 1000, randomblob(500) FROM c;
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<1000) INSERT INTO b SELECT i, 1000, randomblob(500) FROM c;`)
	return db
}

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
		fmt.Println("ready")
		bufio.NewReader(os.Stdin).ReadByte()
		return nil
	})
}

// runWriter moves amounts between the tables, one commit each, until its standard input ends; then
// it prints how many commits there were and how often the WAL was restarted.
func runWriter(db string) error {
	c, err := openConn(db, "mode=rw", "_busy_timeout=10000")
	if err != nil {
		return err
	}
	defer c.Close()
	ctx := context.Background()
	if err := c.exec(ctx, "PRAGMA wal_autocheckpoint=50; PRAGMA synchronous=OFF"); err != nil {
		return err
	}
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		bufio.NewReader(os.Stdin).ReadByte()
	}()
	fmt.Println("ready")
	commits, restarts, salt := 0, 0, ""
	for {
		select {
		case <-stop:
			fmt.Println(commits, restarts)
			return nil
		default:
		}
		i, j := commits%1000+1, commits*7%1000+1
		if err := c.exec(ctx, fmt.Sprintf("BEGIN IMMEDIATE; UPDATE a SET v=v-3 WHERE id=%d; UPDATE b SET v=v+3 WHERE id=%d; COMMIT", i, j)); err != nil {
			return err
		}
		commits++
		if now := walSalt(db); now != salt {
			salt = now
			restarts++
		}
	}
}

func walSalt(db string) string {
	f, err := os.Open(db + "-wal")
	if err != nil {
		return ""
	}
	defer f.Close()
	var b [8]byte
	f.ReadAt(b[:], 16)
	return string(b[:])
}

// startWriter runs runWriter in another process. stop ends it and returns its counts.
func startWriter(t testing.TB, db string) (stop func() (commits, restarts int)) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ENGINE_TEST_WRITER="+db)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("writer: %q", lines.Text())
	}
	return func() (commits, restarts int) {
		t.Helper()
		in.Close()
		lines.Scan()
		fields := strings.Fields(lines.Text())
		if len(fields) != 2 {
			t.Fatalf("writer: %q", lines.Text())
		}
		commits, _ = strconv.Atoi(fields[0])
		restarts, _ = strconv.Atoi(fields[1])
		cmd.Wait()
		return commits, restarts
	}
}

// TestOpeningsBesideWriter opens and pins the source beside the fastest writer there is: no race
// with it reaches the user.
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
			db := newLedger(t, mode)
			stop := startWriter(t, db)
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
					sum, err := p.conn.queryInt(ctx, "SELECT (SELECT sum(v) FROM a) + (SELECT sum(v) FROM b)")
					if err == nil && sum != invariant {
						t.Errorf("sum %d", sum)
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			elapsed := time.Since(start)
			commits, restarts := stop()
			t.Logf("%d openings in %v beside %d commits and %d WAL restarts; retried: %v", openings, elapsed, commits, restarts, retries)
		})
	}
}
