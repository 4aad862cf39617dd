package main

import (
	"reflect"
	"testing"

	"github.com/alecthomas/kong"
)

// grammarOf is what kong knows of the commands when args are parsed.
func grammarOf(t testing.TB, args ...string) *kong.Kong {
	t.Helper()
	parser, err := kong.New(&cli{}, withLongHelp(), leaveOut(args), kong.Bind(&console{}))
	if err != nil {
		t.Fatal(err)
	}
	return parser
}

// TestLeaveOut: a command is parsed as it would be beside all others.
func TestLeaveOut(t *testing.T) {
	whole := grammarOf(t)
	for _, command := range whole.Model.Children {
		for _, name := range append(command.Aliases, command.Name) {
			children := grammarOf(t, name, "pipe").Model.Children
			switch {
			case name == "help" || name == "completion" || name == "man":
				if len(children) != len(whole.Model.Children) {
					t.Errorf("%s describes %d commands", name, len(children))
				}
			case len(children) != 1 || children[0].Name != command.Name:
				t.Errorf("%s is parsed as one of %d commands", name, len(children))
			case !reflect.DeepEqual(flags(children[0]), flags(command)):
				t.Errorf("%s has the flags %v, want %v", name, flags(children[0]), flags(command))
			}
		}
	}
	for _, args := range [][]string{{""}, {"--json", "backup"}, {"backups"}} {
		if n := len(grammarOf(t, args...).Model.Children); n != len(whole.Model.Children) {
			t.Errorf("%q is parsed with %d commands", args, n)
		}
	}
}

func flags(command *kong.Node) map[string]string {
	help := map[string]string{}
	for _, group := range command.AllFlags(false) {
		for _, flag := range group {
			help[flag.Name] = flag.Help
		}
	}
	return help
}

// TestFastStart: to read the command line costs less than to back a small database up. In time that
// is a millisecond; the number of allocations depends on nothing else.
func TestFastStart(t *testing.T) {
	const limit = 4000
	if n := testing.AllocsPerRun(3, func() { grammarOf(t, "backup") }); n > limit {
		t.Errorf("%.0f allocations, want at most %d", n, limit)
	} else {
		t.Logf("%.0f allocations", n)
	}
}
