package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// TestReportLooksAgain: a file that takes the report's name during the run is not replaced either.
func TestReportLooksAgain(t *testing.T) {
	r := &report{path: filepath.Join(t.TempDir(), "report")}
	defer r.close()
	if err := r.check(); err != nil {
		t.Fatal(err)
	}
	r.begin()
	if err := r.check(); err != nil {
		t.Fatalf("our own report: %v", err)
	}
	const database = "SQLite format 3\x00"
	if err := os.WriteFile(r.path, []byte(database), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.end(0, &infoResult{}); err == nil {
		t.Error("a database was replaced")
	}
	if got, _ := os.ReadFile(r.path); string(got) != database {
		t.Errorf("it is now %q", got)
	}
}

// TestReportStaysInItsDirectory: in another directory that takes the name during the run, no report
// is written or removed.
func TestReportStaysInItsDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	r := &report{path: filepath.Join(dir, "report")}
	defer r.close()
	for _, name := range []string{dir, dir + ".other"} {
		if err := os.Mkdir(name, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.check(); err != nil {
		t.Fatal(err)
	}
	r.begin()
	if err := os.Rename(dir, dir+".ours"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir+".other", dir); err != nil {
		t.Fatal(err)
	}
	if err := r.end(0, &infoResult{}); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadDir(dir + ".other"); len(got) > 0 {
		t.Errorf("the other directory has %v", got)
	}
	if got, err := os.ReadFile(filepath.Join(dir+".ours", "report")); !strings.Contains(string(got), `"ok":true`) {
		t.Errorf("the report is %q, %v", got, err)
	}
}

// TestReportFails: that the report cannot be written makes a failure of a success, and is told of a
// failure, which keeps its exit status.
func TestReportFails(t *testing.T) {
	for want, err := range map[int]error{
		exitExists:  nil,
		exitCorrupt: &engine.Error{Kind: engine.KindCorrupt, Op: "check", Path: "a.db", Err: errors.New("damaged")},
	} {
		r := &report{path: filepath.Join(t.TempDir(), "report")}
		code := 0
		_, stderr := captured(t, func(c *console) {
			if err := errors.Join(c.reportTo(r), os.WriteFile(r.path, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
			code = c.finish(t.Context(), err)
		})
		if code != want || !strings.Contains(stderr, "it exists and is not a report") {
			t.Errorf("%v: exit status %d, want %d: %s", err, code, want, stderr)
		}
	}
}
