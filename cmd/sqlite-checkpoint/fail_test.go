package main

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// sources parses the files of a package, its tests aside.
func sources(t *testing.T, pattern string) (files []*ast.File) {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v, %v", pattern, names, err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// values calls f with every constant and variable that is declared outside functions.
func values(files []*ast.File, f func(*ast.ValueSpec)) {
	for _, file := range files {
		for _, decl := range file.Decls {
			if group, ok := decl.(*ast.GenDecl); ok {
				for _, spec := range group.Specs {
					if value, ok := spec.(*ast.ValueSpec); ok {
						f(value)
					}
				}
			}
		}
	}
}

func TestEveryEngineKindHasAnExitStatus(t *testing.T) {
	found := 0
	values(sources(t, "../../engine/*.go"), func(spec *ast.ValueSpec) {
		kind, ok := spec.Type.(*ast.Ident)
		if !ok || kind.Name != "Kind" {
			return
		}
		found++
		value, _ := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		f := explain(context.Background(), "", fmt.Errorf("wrapped: %w", &engine.Error{Kind: engine.Kind(value),
			Err: errors.New("x")}))
		if f.Kind != value || f.Code == exitOther && value != string(engine.KindInternal) {
			t.Errorf("%s: status %d, kind %s", spec.Names[0].Name, f.Code, f.Kind)
		}
	})
	if found < 15 {
		t.Errorf("found %d kinds", found)
	}
}

func TestEveryStreamErrorHasAnExitStatus(t *testing.T) {
	listed := map[string]bool{}
	for _, file := range sources(t, "fail.go") {
		ast.Inspect(file, func(n ast.Node) bool {
			if selector, ok := n.(*ast.SelectorExpr); ok {
				listed[selector.Sel.Name] = true
			}
			return true
		})
	}
	found := 0
	values(sources(t, "../../stream/*.go"), func(spec *ast.ValueSpec) {
		for _, name := range spec.Names {
			if strings.HasPrefix(name.Name, "Err") {
				found++
				if !listed[name.Name] {
					t.Errorf("stream.%s is not in the table", name.Name)
				}
			}
		}
	})
	if found < 10 {
		t.Errorf("found %d errors", found)
	}
}

// TestHintsNameFlags: the hint for each kind and command names only flags that the command has;
// flags after the name of another command are that command's.
func TestHintsNameFlags(t *testing.T) {
	parser, err := kong.New(&cli{}, withLongHelp(), kong.Bind(&console{}))
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]map[string]bool{}
	for _, node := range parser.Model.Children {
		has[node.Name] = map[string]bool{}
		for _, group := range node.AllFlags(false) {
			for _, flag := range group {
				has[node.Name]["--"+flag.Name] = true
			}
		}
	}
	for command := range has {
		for _, r := range kinds {
			if !happens(command, r.kind) {
				continue
			}
			of := command
			own, _, _ := strings.Cut(advice(command, r, errors.New("x")), " | ")
			for _, word := range strings.Fields(own) {
				word = strings.Trim(word, ",;:.")
				if has[word] != nil {
					of = word
				}
				if strings.HasPrefix(word, "--") && !has[of][word] {
					t.Errorf("%s, %s: the hint names %s, which %s does not have", command, r.kind, word, of)
				}
			}
		}
	}
	for _, h := range commandHints {
		for _, command := range strings.Fields(h.commands) {
			if has[command] == nil {
				t.Errorf("there is no command %s", command)
			}
		}
	}
}

// happens reports whether a command can fail with a kind. Kinds without a case here count as
// possible for all.
func happens(command string, kind engine.Kind) bool {
	switch kind {
	case engine.KindCheckIncomplete:
		return slices.Contains([]string{"backup", "snapshot", "pipe", "verify", "restore"}, command)
	case engine.KindBadQuery, engine.KindQuery, kindDiffers:
		return command == "verify"
	case kindInputStalled:
		return command == "verify" || command == "restore"
	case kindStalled:
		return slices.Contains([]string{"backup", "snapshot", "pipe"}, command)
	}
	return !strings.HasPrefix(string(kind), "stream_") || command == "verify" || command == "restore"
}

// TestKinds: scripts compare the names and the exit statuses of failures, so none may change. Add
// new ones here.
func TestKinds(t *testing.T) {
	var want []string
	for code, names := range map[int]string{
		exitOther: `internal command_unguarded command_failed no_namespace unfinished other`,
		exitUsage: `usage bad_pattern bad_query terminal`,
		exitSource: `missing not_a_database unreadable hot_journal changed foreign_file wal_elsewhere open_in_process
			not_owner not_shards in_use unlocked`,
		exitBusy:    `destination_busy database_appeared busy exclusive`,
		exitCorrupt: `corrupt check_incomplete`,
		exitSpace:   `no_space temp_io`,
		exitOutput:  `output output_lost command_ended_early stalled`,
		exitStream: `stream_truncated stream_incomplete stream_corrupt stream_unproven stream_version stream_empty
			stream_format stream_trailing_data stream_mismatch stream_sidecar input_stalled differs query_failed
			damaged_directory damaged_copies stream_plain_zstd`,
		exitExists:        `exists same_file`,
		exitNotExecutable: `command_not_executable`,
		exitNotFound:      `command_not_found`,
	} {
		for _, name := range strings.Fields(names) {
			want = append(want, fmt.Sprint(code, " ", name))
		}
	}
	var got []string
	for _, r := range kinds {
		got = append(got, fmt.Sprint(r.code, " ", r.kind))
	}
	slices.Sort(want)
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("kinds are\n%q, want\n%q", got, want)
	}
	if rowOf("unheard of").code != exitOther || kindInterrupted != "interrupted" {
		t.Errorf("an unknown kind has status %d, a signal kind %s", rowOf("unheard of").code, kindInterrupted)
	}
}

func TestHelpHasEveryExitStatus(t *testing.T) {
	for _, row := range kinds {
		if !strings.Contains(exitStatusHelp, fmt.Sprintf(" %d ", row.code)) {
			t.Errorf("help does not tell of status %d", row.code)
		}
	}
}

func TestExplain(t *testing.T) {
	corrupt := &engine.Error{Kind: engine.KindCorrupt, Op: "check", Path: "a.db", Err: errors.New("damage"),
		Findings: make([]string, 12)}
	for _, c := range []struct {
		name string
		err  error
		code int
		kind string
	}{
		{"usage", usagef("x"), exitUsage, "usage"},
		{"stream error wrapped by the engine", &engine.Error{Kind: engine.KindTemp, Err: stream.ErrTruncated},
			exitStream, "stream_truncated"},
		{"empty before format", stream.ErrEmpty, exitStream, "stream_empty"},
		{"broken pipe", fmt.Errorf("%w: %w", stream.ErrBrokenPipe, syscall.EPIPE), exitOutput, "output"},
		{"full destination", fileFault(fmt.Errorf("write x: %w", syscall.ENOSPC)), exitSpace, "no_space"},
		{"full stdout", outputFault("-", syscall.ENOSPC), exitOutput, "output"},
		{"findings", fmt.Errorf("verify: %w", corrupt), exitCorrupt, "corrupt"},
		{"unknown", errors.New("x"), exitOther, "other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if f := explain(context.Background(), "", c.err); f.Code != c.code || f.Kind != c.kind {
				t.Errorf("status %d, kind %s", f.Code, f.Kind)
			}
		})
	}
	if f := explain(context.Background(), "", corrupt); len(f.Findings) != 10 {
		t.Errorf("%d findings", len(f.Findings))
	}
}

func TestSignalExplainsEverything(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(interruption{syscall.SIGTERM})
	f := explain(ctx, "", &engine.Error{Kind: engine.KindTemp, Err: errors.New("x")})
	if f.Code != 143 || f.Kind != string(kindInterrupted) {
		t.Errorf("status %d, kind %s", f.Code, f.Kind)
	}
}
