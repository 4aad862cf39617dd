package main

import (
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// describing are the commands that describe all commands.
var describing = []string{"help", "completion", "man"}

// leaveOut leaves all commands but the one that args begin with out of the grammar: kong takes
// longer to read all of them than a small backup takes. Without such a command it leaves out none.
func leaveOut(args []string) kong.Option {
	var others []string
	named := false
	for _, field := range reflect.VisibleFields(reflect.TypeFor[cli]()) {
		if _, command := field.Tag.Lookup("cmd"); !command {
			continue
		}
		names := strings.Split(field.Tag.Get("aliases"), ",")
		names = append(names, field.Tag.Get("name"), strings.ToLower(field.Name))
		if len(args) > 0 && args[0] != "" && slices.Contains(names, args[0]) {
			named = !slices.Contains(describing, args[0])
		} else {
			others = append(others, field.Name)
		}
	}
	if !named {
		return kong.IgnoreFields()
	}
	return kong.IgnoreFields("^cli[.](" + strings.Join(others, "|") + ")$")
}
