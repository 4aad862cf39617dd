package main

import (
	"strings"

	"github.com/alecthomas/kong"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/manual"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

func (*completionCmd) Help() string {
	return `The script goes to stdout. Packages install it; without one:

  source <(sqlite-checkpoint completion bash)
  sqlite-checkpoint completion zsh >"${fpath[1]}/_sqlite-checkpoint"
  sqlite-checkpoint completion fish >~/.config/fish/completions/sqlite-checkpoint.fish`
}

// Run is the command.
func (cmd *completionCmd) Run(con *console, command *kong.Context) error {
	var script strings.Builder
	if err := manual.Completion(&script, cmd.Shell, command.Model); err != nil {
		return err
	}
	if _, err := con.stdout.WriteString(script.String()); err != nil {
		return outputFault("standard output", err)
	}
	return nil
}
