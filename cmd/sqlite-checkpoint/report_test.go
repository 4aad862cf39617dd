package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestReportLooksAgain: what takes the report's name during the run is not replaced either.
func TestReportLooksAgain(t *testing.T) {
	r := &report{path: filepath.Join(t.TempDir(), "report")}
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
