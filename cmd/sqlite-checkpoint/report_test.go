package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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
