package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestHintsHelp: for each flag that a hint of the tables names, a script gets that hint, and uses
// the flag later.
func TestHintsHelp(t *testing.T) {
	names, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var scripts []string
	for _, name := range names {
		script, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		scripts = append(scripts, string(script))
	}
	var hints []string
	for _, r := range kinds {
		hints = append(hints, r.hint)
	}
	for _, h := range commandHints {
		hints = append(hints, h.hint)
	}
	flags := regexp.MustCompile(`--[a-z][a-z0-9-]+`)
	for _, hint := range hints {
		for _, flag := range flags.FindAllString(hint, -1) {
			used := regexp.MustCompile(`(?m)^(exec|exits) .*sqlite-checkpoint.* ` + flag + `\b`)
			if !thenUsed(scripts, hint, used) {
				t.Errorf("no script shows that %s helps: %s", flag, hint)
			}
		}
	}
}

var expectedHint = regexp.MustCompile(`(?m)^stderr '(hint: .*)'$`)

// thenUsed reports whether a script has the hint on stderr, and later a line that matches used.
func thenUsed(scripts []string, hint string, used *regexp.Regexp) bool {
	for _, script := range scripts {
		for _, at := range expectedHint.FindAllStringSubmatchIndex(script, -1) {
			expected := regexp.MustCompile(script[at[2]:at[3]])
			if expected.MatchString("hint: "+hint) && used.MatchString(script[at[1]:]) {
				return true
			}
		}
	}
	return false
}
