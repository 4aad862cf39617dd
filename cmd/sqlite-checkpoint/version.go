package main

import (
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// version is set by the linker. If empty, the module's version is used.
var version string

// A versionFlag prints the versions and ends the run.
type versionFlag bool

// BeforeReset is called by kong before any other flag is parsed.
func (versionFlag) BeforeReset(command *kong.Context, con *console) error {
	con.json = commonFlagsOf(command.Args).JSON
	if err := (&versionCmd{}).Run(con); err != nil {
		return err
	}
	return errShown
}

type versionCmd struct{}

// Run is the command.
func (*versionCmd) Run(con *console) error {
	modules, err := engine.Modules()
	if err != nil {
		return err
	}
	return con.show(&versionResult{
		Command: "version",
		Version: toolVersion(),
		SQLite:  engine.SQLiteVersion(),
		Go:      strings.TrimPrefix(runtime.Version(), "go"),
		System:  runtime.GOOS + "/" + runtime.GOARCH,
		Modules: modules,
	})
}

type versionResult struct {
	Command string   `json:"command"`
	Version string   `json:"version"`
	SQLite  string   `json:"sqlite"`
	Go      string   `json:"go"`
	System  string   `json:"system"`
	Modules []string `json:"modules"` // of SQLite
}

func (r *versionResult) lines() []string {
	return []string{
		program + " " + r.Version,
		"SQLite " + r.SQLite,
		"Go " + r.Go + " " + r.System,
		"modules: " + strings.Join(r.Modules, " "),
	}
}

func toolVersion() string {
	if version != "" {
		return version
	}
	if build, ok := debug.ReadBuildInfo(); ok && build.Main.Version != "" {
		return build.Main.Version
	}
	return "(devel)"
}
