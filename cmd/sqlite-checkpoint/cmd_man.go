package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/alecthomas/kong"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/manual"
)

// A manCmd is for packagers, so --help does not show it.
type manCmd struct {
	Dir  string `arg:"" help:"An existing directory."`
	Date string `arg:"" help:"The date of the pages: YYYY-MM-DD."`
}

// Run is the command.
func (cmd *manCmd) Run(command *kong.Context) error {
	edition := manual.Edition{Version: toolVersion(), Date: cmd.Date, ExitStatus: exitStatusHelp}
	for name, page := range manual.Pages(command.Model, edition) {
		if err := os.WriteFile(filepath.Join(cmd.Dir, name), []byte(page), 0o644); err != nil {
			return fileFault(fmt.Errorf("write manual page: %w", err))
		}
	}
	return nil
}
