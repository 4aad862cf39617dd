package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Whatever --help shows of a command, its manual page and the completion of every shell know.
func TestManualIsComplete(t *testing.T) {
	dir := t.TempDir()
	printed(t, "man", dir, "2026-01-02")
	completions := map[string]string{}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		completions[shell] = printed(t, "completion", shell)
	}
	row := regexp.MustCompile(`(?m)^  ([a-z]+)( \(|  | <)`)
	commands := row.FindAllStringSubmatch(printed(t, "--help"), -1)
	if len(commands) < 8 {
		t.Fatalf("--help shows %d commands: %q", len(commands), commands)
	}
	long := regexp.MustCompile(`--[a-z][a-z0-9-]+`)
	for _, command := range commands {
		name := command[1]
		page, err := os.ReadFile(filepath.Join(dir, program+"-"+name+".1"))
		if err != nil {
			t.Error(err)
			continue
		}
		plain := strings.ReplaceAll(string(page), `\-`, "-")
		_, flags, _ := strings.Cut(printed(t, name, "--help"), "\nFlags:\n")
		for _, flag := range long.FindAllString(flags, -1) {
			if !strings.Contains(plain, flag) {
				t.Errorf("the manual page of %s has no %s", name, flag)
			}
			for shell, script := range completions {
				known := flag
				if shell == "fish" {
					known = " -l " + strings.TrimPrefix(flag, "--")
				}
				if !strings.Contains(script, known) || !strings.Contains(script, name) {
					t.Errorf("the completion for %s has no %s of %s", shell, flag, name)
				}
			}
		}
	}
}

// printed is what a command line that does not fail prints on stdout.
func printed(t *testing.T, args ...string) string {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	ctx, con := context.Background(), newConsole(out, os.Stderr)
	if code := con.finish(ctx, dispatch(ctx, con, args)); code != 0 {
		t.Fatalf("%q: exit status %d", args, code)
	}
	data, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
