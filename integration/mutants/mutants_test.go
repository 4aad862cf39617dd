package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTable: every mutant matches exactly one place in the program, and its test exists.
func TestTable(t *testing.T) {
	const root = "../.."
	seen := map[string]bool{}
	for _, m := range table {
		if _, _, err := m.apply(root); err != nil {
			t.Errorf("%s: %v", m.breaks, err)
		}
		if seen[m.breaks] {
			t.Errorf("%s: twice", m.breaks)
		}
		seen[m.breaks] = true
		pkg, test, _ := strings.Cut(m.test, " ")
		test, _, _ = strings.Cut(test, "/")
		if !hasTest(t, filepath.Join(root, pkg), test) {
			t.Errorf("%s: no %s in %s", m.breaks, test, pkg)
		}
	}
}

func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	declaration := regexp.MustCompile(`(?m)^func ` + name + `\(t \*testing\.T\)`)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if declaration.Match(data) {
			return true
		}
	}
	return false
}
