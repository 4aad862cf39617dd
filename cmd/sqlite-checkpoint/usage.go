package main

import (
	"errors"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
)

// parseFault turns an error of kong into a usage error with a hint.
func parseFault(err error) error {
	var known *fault
	var parse *kong.ParseError
	switch {
	case errors.Is(err, errShown):
		return errShown
	case errors.As(err, &known), !errors.As(err, &parse):
		return err
	}
	name := ""
	if command := parse.Context; command != nil && command.Selected() != nil {
		name = command.Selected().Name + " "
	}
	message := plainUsage(parse.Error(), name != "")
	message = strings.TrimPrefix(message, aliased(parse.Context))
	switch {
	case message == "missing argument: CMD ...":
		return withoutCommand(parse.Context)
	case strings.HasPrefix(message, "missing argument") && fromNothing(parse.Context.Args):
		usage := map[string]string{"verify ": "verify --from-command", "restore ": "restore --from-command DB"}
		return missingCommand(usage[name])
	}
	hint := "see " + program + " " + name + "--help"
	if file := dashedFile(parse.Context); file != "" && strings.HasPrefix(message, "unknown flag") {
		hint = "name the file ./" + file
	}
	return &fault{kind: kindUsage, err: errors.New(message), hint: hint}
}

// aliased returns what kong puts before an error of a command that has aliases.
func aliased(command *kong.Context) string {
	if command == nil || command.Selected() == nil || len(command.Selected().Aliases) == 0 {
		return ""
	}
	return command.Selected().Path() + ": "
}

// plainUsage rewords messages of kong. commanded reports that a command was recognized.
func plainUsage(message string, commanded bool) string {
	if flag, problem, found := strings.Cut(message, ": expected "); found {
		return flag + plainValue(problem)
	}
	if name, values, found := strings.Cut(message, ` must be one of "`); found {
		values, _, _ = strings.Cut(values, " but got ")
		return plainName(name) + ": must be one of " + strings.NewReplacer(`"`, "", ",", ", ").Replace(values)
	}
	if name, found := strings.CutPrefix(message, "expected "); found && commanded {
		return missing(plainName(name))
	}
	if strings.HasPrefix(message, "expected one of ") {
		return "no command given"
	}
	if name, found := strings.CutPrefix(message, "unexpected argument "); found && !commanded {
		return "no such command: " + name
	}
	return message
}

// missing says which operands are missing. names are separated by spaces; the last may end in
// " ...".
func missing(names string) string {
	if strings.Contains(strings.TrimSuffix(names, " ..."), " ") {
		return "missing arguments: " + names
	}
	return "missing argument: " + names
}

// plainName returns the name of a flag, or of arguments as the help writes them.
func plainName(name string) string {
	if strings.HasPrefix(name, "-") {
		return name
	}
	return strings.ToUpper(strings.NewReplacer(`"`, "", "<", "", ">", "").Replace(name))
}

// plainValue rewords what kong says of a flag's value: what it expects, and what it got.
func plainValue(problem string) string {
	kind, got, _ := strings.Cut(problem, " but got ")
	value, rest, _ := strings.Cut(strings.TrimPrefix(got, `"`), `"`)
	_, notANumber := strconv.ParseFloat(value, 64)
	switch {
	case value == "EOL":
		return " needs a value"
	case kind != "string value" && len(value) > 1 && value[0] == '-' && strings.Contains(".0123456789", value[1:2]):
		return ": must not be negative"
	case strings.Contains(rest, "flag)"):
		return " needs a value, and " + value + " looks like a flag"
	case kind == "duration" && notANumber == nil:
		return ": give a unit, as in " + value + "s"
	case kind == "duration":
		return ": must be a duration, such as 30s, 15m or 24h"
	}
	return ": expected " + problem
}
