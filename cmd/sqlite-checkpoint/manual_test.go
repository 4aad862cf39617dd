package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Everything that --help shows of a command is in its manual page and in the completion of every
// shell.
func TestManualIsComplete(t *testing.T) {
	dir := t.TempDir()
	printed(t, "man", dir, "2026-01-02")
	known := map[string]func(command string) string{
		"manual page": func(command string) string {
			page, err := os.ReadFile(filepath.Join(dir, program+"-"+command+".1"))
			if err != nil {
				t.Error(err)
			}
			terms := regexp.MustCompile(`(?m)^\.TP\n.*`).FindAllString(string(page), -1)
			return strings.NewReplacer(`\-`, "-", `\fB`, " ", `\fI`, " ", `\fP`, " ").Replace(strings.Join(terms, "\n"))
		},
	}
	for shell, lines := range map[string]string{
		"bash": `(?m)^\tCOMMAND:-.*`,
		"zsh":  `(?ms)^\t\tCOMMAND(?:\|\w+)*\) _arguments.*?return ;;`,
		"fish": `(?m)^complete -c ` + program + ` (?:-n '__fish_seen_subcommand_from COMMAND\b[^']*' )?-[sl] .*`,
	} {
		script := printed(t, "completion", shell)
		known[shell] = func(command string) string {
			own := regexp.MustCompile(strings.ReplaceAll(lines, "COMMAND", command))
			return strings.Join(own.FindAllString(script, -1), "\n")
		}
	}
	for _, command := range commandsInHelp(t) {
		flags := flagsInHelp(t, command)
		for where, text := range known {
			words := wordsOf(text(command))
			for _, flag := range flags {
				if where == "fish" {
					flag = strings.TrimLeft(flag, "-")
				}
				if !slices.Contains(words, flag) {
					t.Errorf("%s of %s: no %s", where, command, flag)
				}
			}
		}
	}
}

// wordsOf splits a text at characters that no flag contains.
func wordsOf(text string) []string { return regexp.MustCompile(`[^A-Za-z0-9-]+`).Split(text, -1) }

func commandsInHelp(t *testing.T) (names []string) {
	t.Helper()
	row := regexp.MustCompile(`(?m)^  ([a-z]+)( \(|  | <)`)
	for _, match := range row.FindAllStringSubmatch(printed(t, "--help"), -1) {
		names = append(names, match[1])
	}
	if len(names) < 8 {
		t.Fatalf("--help shows %d commands: %q", len(names), names)
	}
	return names
}

// flagsInHelp returns the flags that begin the entries of the help of a command.
func flagsInHelp(t *testing.T, command string) (flags []string) {
	t.Helper()
	entry := regexp.MustCompile(`(?m)^  (-[A-Za-z]|  )[, ] *(--[a-z0-9-]+)`)
	_, help, _ := strings.Cut(printed(t, command, "--help"), "\nFlags:\n")
	for _, match := range entry.FindAllStringSubmatch(help, -1) {
		flags = append(flags, match[2])
		if short := strings.TrimSpace(match[1]); short != "" {
			flags = append(flags, short)
		}
	}
	if len(flags) < 8 {
		t.Fatalf("%s --help shows %d flags: %q", command, len(flags), flags)
	}
	return flags
}

// printed returns what a command line prints on stdout, and fails the test if it fails.
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
