// Package manual writes completion scripts and manual pages of a command line, from the kong model
// that parses it.
package manual

import (
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// A command is one that the program has, or the program itself, whose flags every command has.
type command struct {
	Name    string
	Aliases []string
	Help    string // one sentence
	Detail  string // paragraphs; indented lines are examples
	Args    []argument
	Flags   []flag
	RunsCMD bool // its arguments end with another command line
}

// Names returns its name and its aliases.
func (c command) Names() []string { return append([]string{c.Name}, c.Aliases...) }

// Usage returns the forms of the command line of a command, without the name of the program.
func Usage(node *kong.Node) []string { return describe(node).usage() }

// usage has two forms for a command whose CMD is optional: --from-command puts CMD in the place of
// SRC.
func (c command) usage() []string {
	own := []string{c.Name, "[flags]"}
	for i, arg := range c.Args {
		switch {
		case c.RunsCMD && i == len(c.Args)-1:
			own = append(own, "--", arg.Name)
		case arg.IsCMD():
			from := append([]string{c.Name, "--from-command", "[flags]"}, names(c.Args[1:i])...)
			return []string{strings.Join(own, " "), strings.Join(append(from, "--", arg.Name), " ")}
		case arg.Optional:
			own = append(own, "["+arg.Name+"]")
		default:
			own = append(own, arg.Name)
		}
	}
	return []string{strings.Join(own, " ")}
}

func names(args []argument) (names []string) {
	for _, arg := range args {
		names = append(names, arg.Name)
	}
	return names
}

// An argument is positional.
type argument struct {
	Name     string // as in a synopsis: DB, CMD...
	Help     string
	Optional bool
	Values   []string // what can be completed; nil if it can be anything
}

// IsCMD reports whether it is another command line, which follows --.
func (a argument) IsCMD() bool { return a.Name == "CMD..." }

// Many reports whether it can be repeated.
func (a argument) Many() bool { return strings.HasSuffix(a.Name, "...") }

// A flag is an option.
type flag struct {
	Long   string
	Short  string
	Value  string // what its value stands for; empty if it takes none
	Help   string
	Values []string
}

// TakesPath reports whether the value is the name of a file or a directory.
func (f flag) TakesPath() bool {
	return f.Value == "FILE" || f.Value == "DIR" || f.Value == "FILE.prom"
}

// Spellings returns the words that it can be written as.
func (f flag) Spellings() []string {
	words := []string{"--" + f.Long}
	if f.Short != "" {
		words = append(words, "-"+f.Short)
	}
	return words
}

// commands returns the commands of the model, except hidden ones. An argument COMMAND is the name
// of one.
func commands(app *kong.Application) (all []command) {
	var known []string
	for _, node := range app.Leaves(true) {
		all = append(all, describe(node))
		known = append(known, node.Name)
	}
	for _, c := range all {
		for i := range c.Args {
			if c.Args[i].Name == "COMMAND" {
				c.Args[i].Values = known
			}
		}
	}
	return all
}

// describe returns what the node has itself, without the flags of its parents.
func describe(node *kong.Node) command {
	c := command{Name: node.Name, Aliases: node.Aliases, Help: node.Help, Detail: node.Detail}
	for _, arg := range node.Positional {
		name := strings.ToUpper(arg.Name)
		if arg.Target.Kind() == reflect.Slice {
			name += "..."
		}
		c.RunsCMD = c.RunsCMD || arg.PassthroughMode != kong.PassThroughModeNone
		c.Args = append(c.Args, argument{Name: name, Help: arg.Help, Optional: !arg.Required, Values: values(arg)})
	}
	for _, f := range node.Flags {
		if !f.Hidden {
			c.Flags = append(c.Flags, describeFlag(f))
		}
	}
	return c
}

func describeFlag(f *kong.Flag) flag {
	described := flag{Long: f.Name, Help: f.Help, Values: values(f.Value)}
	if f.Short != 0 {
		described.Short = string(f.Short)
	}
	if !f.IsBool() && !f.IsCounter() {
		described.Value = f.FormatPlaceHolder()
	}
	return described
}

// values are those that can be completed: all of an enum's, or those that a tag names, as in
// values:"fast,best".
func values(v *kong.Value) []string {
	if named := v.Tag.Get("values"); named != "" {
		return strings.Split(named, ",")
	}
	if v.Enum == "" {
		return nil
	}
	return slices.DeleteFunc(v.EnumSlice(), func(s string) bool { return s == "" })
}
