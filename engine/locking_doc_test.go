package engine

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// LOCKING.md names tests and files as proof: they exist.
func TestLockingDocument(t *testing.T) {
	document, err := os.ReadFile("LOCKING.md")
	if err != nil {
		t.Fatal(err)
	}
	var sources strings.Builder
	files := map[string]bool{}
	err = filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		files[filepath.Base(path)] = true
		source, err := os.ReadFile(path)
		sources.Write(source)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := regexp.MustCompile(`Test\w+`).FindAllString(string(document), -1)
	if len(tests) < 9 {
		t.Errorf("only %d tests are named", len(tests))
	}
	for _, name := range tests {
		if !strings.Contains(sources.String(), "func "+name+"(") {
			t.Errorf("there is no %s", name)
		}
	}
	for _, name := range regexp.MustCompile(`\w+\.go\b`).FindAllString(string(document), -1) {
		if !files[name] {
			t.Errorf("there is no %s", name)
		}
	}
}
