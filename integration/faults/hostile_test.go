package faults

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// hostileBound is how long a specimen may take. On a busy machine it gets a second try.
const hostileBound = 2 * time.Second

// TestHostileDatabases takes a snapshot of every specimen in this process: a crash would end the
// test. What is not refused is undamaged.
func TestHostileDatabases(t *testing.T) {
	s := newScene(t)
	all := specimens(s)
	descriptors, goroutines := len(listing(s, "/proc/self/fd")), runtime.NumGoroutine()
	var mutex sync.Mutex
	count, slowest := map[string]int{}, time.Duration(0)
	jobs := make(chan specimen)
	var workers sync.WaitGroup
	for i := range 2 {
		dir := filepath.Join(s.Root, fmt.Sprint("worker", i))
		s.Check(os.Mkdir(dir, 0o700))
		s.Check(os.Mkdir(filepath.Join(dir, "temp"), 0o700))
		workers.Go(func() {
			for job := range jobs {
				outcome, took := s.judgeSpecimen(dir, job)
				mutex.Lock()
				count[outcome]++
				slowest = max(slowest, took)
				mutex.Unlock()
			}
		})
	}
	for _, job := range all {
		jobs <- job
	}
	close(jobs)
	workers.Wait()
	t.Logf("%d hostile databases, the slowest in %v: %v", len(all), slowest, count)
	if len(all) < 5000 || count["sound"] == 0 || count[string(engine.KindCorrupt)] == 0 {
		t.Error("this is not the collection it should be")
	}
	harness.Eventually(s, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines })
	if now := len(listing(s, "/proc/self/fd")); now > descriptors {
		t.Errorf("there were %d descriptors, there are %d", descriptors, now)
	}
}

// judgeSpecimen takes a snapshot of a specimen, and returns the outcome.
func (s *scene) judgeSpecimen(dir string, job specimen) (outcome string, took time.Duration) {
	for range 2 {
		begin := time.Now()
		outcome = s.snapshotSpecimen(dir, job)
		if took = time.Since(begin); took < hostileBound {
			return outcome, took
		}
	}
	s.Errorf("%s: it takes %v", job.name, took)
	return outcome, took
}

func (s *scene) snapshotSpecimen(dir string, job specimen) string {
	db, temp := filepath.Join(dir, "app.db"), filepath.Join(dir, "temp")
	s.Check(job.place(db))
	snap, err := engine.TakeSnapshot(context.Background(), db, engine.SnapshotOptions{TempDir: temp, BusyTimeout: -1})
	if err != nil {
		var known *engine.Error
		if !errors.As(err, &known) || !slices.Contains(refusals, known.Kind) {
			s.Errorf("%s: %v", job.name, err)
			return "wrong error"
		}
		if left, _ := os.ReadDir(temp); len(left) > 0 {
			s.Errorf("%s: left behind: %v", job.name, left)
		}
		return string(known.Kind)
	}
	defer snap.Close()
	image, err := io.ReadAll(snap)
	if err != nil {
		s.Errorf("%s: %v", job.name, err)
	}
	if err := soundImage(filepath.Join(dir, "image.db"), image, snap.Info().Level); err != nil {
		s.Errorf("%s: a snapshot that is not sound: %v", job.name, err)
	}
	return "sound"
}

// refusals are the kinds of error with exit status 3 or 5.
var refusals = []engine.Kind{engine.KindNotDatabase, engine.KindUnreadable, engine.KindHotJournal, engine.KindChanged,
	engine.KindCorrupt, engine.KindCheckIncomplete}

// soundImage has SQLite check an image.
func soundImage(path string, image []byte, level engine.Level) error {
	if err := os.WriteFile(path, image, 0o600); err != nil {
		return err
	}
	c, err := (&sqlite3.SQLiteDriver{}).Open("file:" + path + "?mode=ro&immutable=1")
	if err != nil {
		return err
	}
	defer c.Close()
	rows, err := c.(*sqlite3.SQLiteConn).Query("PRAGMA quick_check", nil)
	if err != nil {
		if level == engine.LevelStructural {
			return nil
		}
		return err
	}
	defer rows.Close()
	answer := make([]driver.Value, 1)
	if err := rows.Next(answer); err != nil {
		return err
	}
	if answer[0] != "ok" {
		return fmt.Errorf("%v", answer[0])
	}
	return nil
}

// TestHostileThroughProgram runs the program on some of the specimens, to check exit statuses and
// memory.
func TestHostileThroughProgram(t *testing.T) {
	all := specimens(newScene(t))
	t.Run("sample", func(t *testing.T) {
		for part := range 2 {
			t.Run(fmt.Sprint(part), func(t *testing.T) {
				t.Parallel()
				s := newScene(t)
				s.hidden = true
				for i := part * 29; i < len(all); i += 59 {
					s.Check(all[i].place(s.db))
					s.try(trial{codes: []int{codeDone, codeSource, codeCorrupt}, says: []string{"app.db"},
						weigh: true}).modest(2*time.Second, 100)
					s.try(trial{args: []string{"info", s.db}, prints: true, codes: []int{codeDone, codeSource},
						says: []string{"app.db"}, weigh: true}).modest(2*time.Second, 100)
					if t.Failed() {
						t.Fatal(all[i].name)
					}
				}
				t.Log(s.tally.verdict(t.Failed()))
			})
		}
	})
}

// flippedPage1 changes every byte of the first page: what is not refused is copied unchanged.
func flippedPage1(s *scene) {
	s.hidden = true
	s.SQLite(s.db, "PRAGMA page_size=1024;", rowsSQL(30))
	base := s.Read(s.db)
	dir := filepath.Join(s.Root, "worker")
	s.Check(os.MkdirAll(filepath.Join(dir, "temp"), 0o700))
	for i := range 1024 {
		data := bytes.Clone(base)
		data[i] ^= 0xff
		job := specimen{name: fmt.Sprintf("byte %d", i), data: data}
		outcome, _ := s.judgeSpecimen(dir, job)
		s.tally.add(outcome, 1)
		if outcome == "sound" {
			s.sameContents(job.name, filepath.Join(dir, "app.db"), filepath.Join(dir, "image.db"))
		}
		if i%64 == 0 {
			s.Check(job.place(s.db))
			s.try(trial{codes: []int{codeDone, codeSource, codeCorrupt}, says: []string{"app.db"}})
		}
	}
}

// sameContents compares what SQLite reads from two databases.
func (s *scene) sameContents(name, a, b string) {
	s.Helper()
	if was, is := dump(a), dump(b); was != is {
		s.Errorf("%s: the source says %q, its copy %q", name, was, is)
	}
}

// dump returns everything that SQLite reads from a database, errors included.
func dump(path string) string {
	c, err := (&sqlite3.SQLiteDriver{}).Open("file:" + path + "?mode=ro&immutable=1")
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	var text strings.Builder
	for _, query := range []string{"SELECT * FROM sqlite_schema", "SELECT * FROM t", "SELECT v FROM t ORDER BY v"} {
		rows, err := c.(*sqlite3.SQLiteConn).Query(query, nil)
		if err != nil {
			fmt.Fprintln(&text, err)
			continue
		}
		row := make([]driver.Value, len(rows.Columns()))
		for err = rows.Next(row); err == nil; err = rows.Next(row) {
			fmt.Fprintln(&text, row)
		}
		fmt.Fprintln(&text, err)
		rows.Close()
	}
	return text.String()
}
