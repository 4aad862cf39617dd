// Mutants breaks the program on purpose, in a copy of the tree, one row of its table at a time: the
// test that the row names must fail. GOFLAGS come from make.
//
//	make mutants
//	make mutants MUTANTS='fsync|link'      only those whose test or description matches
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// A mutant is a small change that breaks a promise.
type mutant struct {
	breaks   string // what goes wrong with it
	test     string // package and name of the test that notices
	old, new string // whole lines, however they are indented; old must be found exactly once in the program
}

// sources are the directories whose Go and C files, tests aside, a mutant may change.
var sources = []string{"cmd", "engine", "stream"}

func main() {
	only := flag.String("run", "", "only the mutants whose test or description matches this regular expression")
	flag.Parse()
	alive, err := run(regexp.MustCompile(*only))
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
	}
	if err != nil || alive > 0 {
		os.Exit(1)
	}
}

func run(only *regexp.Regexp) (alive int, err error) {
	tree, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(tree)
	if out, err := exec.Command("sh", "-c", `tar -c --exclude=./.git . | tar -x -C "$0"`,
		tree).CombinedOutput(); err != nil {
		return 0, fmt.Errorf("copy the tree: %w\n%s", err, out)
	}
	tried := 0
	for _, m := range table {
		if !only.MatchString(m.test + ": " + m.breaks) {
			continue
		}
		tried++
		if why := m.survives(tree); why != "" {
			alive++
			fmt.Printf("ALIVE   %s: %s\n", m.breaks, why)
		} else {
			fmt.Printf("killed  %s, by %s\n", m.breaks, m.test)
		}
	}
	fmt.Printf("%d mutants, %d alive\n", tried, alive)
	return alive, nil
}

// survives returns why the mutant counts as alive, or "" if the named test fails.
func (m mutant) survives(tree string) string {
	file, changed, err := m.apply(tree)
	if err != nil {
		return err.Error()
	}
	original, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	defer os.WriteFile(file, original, 0o644)
	if err := os.WriteFile(file, changed, 0o644); err != nil {
		return err.Error()
	}
	pkg, test, _ := strings.Cut(m.test, " ")
	// In a PID namespace of its own: when that ends, it takes processes with it that a broken
	// program left running.
	cmd := exec.Command("unshare", "--pid", "--fork", "--mount-proc", "go", "test", "-count=1", "-run", pattern(test),
		pkg)
	cmd.Dir = tree
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return m.test + " passes"
	case !strings.Contains(string(out), "--- FAIL: "):
		return fmt.Sprintf("%s fails for another reason:\n%s", m.test, out)
	}
	return ""
}

// pattern is the regular expression for exactly one test, and for all subtests whose names begin
// with what follows a slash.
func pattern(test string) string {
	top, sub, nested := strings.Cut(test, "/")
	if !nested {
		return "^" + top + "$"
	}
	return "^" + top + "$/^" + strings.ReplaceAll(sub, "/", "$/^")
}

// apply finds the one place in the tree for the change, and returns the file and what it then
// contains.
func (m mutant) apply(tree string) (file string, changed []byte, err error) {
	count := 0
	for _, dir := range sources {
		err := filepath.WalkDir(filepath.Join(tree, dir), func(path string, _ os.DirEntry, err error) error {
			if err != nil || !isSource(path) {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if text, n := m.replace(string(data)); n > 0 {
				file, changed, count = path, []byte(text), count+n
			}
			return nil
		})
		if err != nil {
			return "", nil, err
		}
	}
	if count != 1 {
		return "", nil, fmt.Errorf("found %d times in the program:\n%s", count, m.old)
	}
	return file, changed, nil
}

func isSource(path string) bool {
	return strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".c")
}

// replace counts how often text contains the old lines, and replaces the last of them by the new
// ones.
func (m mutant) replace(text string) (changed string, count int) {
	lines, old := strings.Split(text, "\n"), strings.Split(m.old, "\n")
	for at := 0; at+len(old) <= len(lines); at++ {
		if sameLines(lines[at:at+len(old)], old) {
			count++
			changed = strings.Join(lines[:at], "\n") + "\n" + m.new + "\n" + strings.Join(lines[at+len(old):], "\n")
		}
	}
	return changed, count
}

func sameLines(a, b []string) bool {
	for i := range b {
		if strings.TrimSpace(a[i]) != strings.TrimSpace(b[i]) {
			return false
		}
	}
	return true
}
