package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// version is set by the linker; else it is the module's.
var version string

// A versionFlag ends the run when it is met.
type versionFlag bool

// BeforeReset is a hook of kong.
func (versionFlag) BeforeReset(command *kong.Context) error {
	modules, err := engine.Modules()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(command.Stdout, "%s %s\nSQLite %s\nGo %s %s/%s\nmodules: %s\n", program, toolVersion(), engine.SQLiteVersion(),
		strings.TrimPrefix(runtime.Version(), "go"), runtime.GOOS, runtime.GOARCH, strings.Join(modules, " ")); err != nil {
		return outputFault("standard output", err)
	}
	return errShown
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
