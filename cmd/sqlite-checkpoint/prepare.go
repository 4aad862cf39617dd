package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// An emission is a backup on its way: from a source through a checked private copy to a destination.
type emission struct {
	*streamFlags
	source, dest string
	to           datedDest
	kind         stream.Target
	level        stream.Level
	digestName   string           // where the sidecar goes; empty for none
	sidecar      *atomicfile.File // the same, still private
	con          *console
}

// prepare refuses, before any work, what could not end well.
func prepare(con *console, source, dest string, to datedDest, flags *streamFlags) (*emission, error) {
	e := &emission{streamFlags: flags, source: source, dest: dest, to: to, con: con}
	if source == "" || dest == "" {
		return nil, usagef("DB and DEST must not be empty")
	}
	if err := e.probe(); err != nil {
		return nil, err
	}
	return e, e.settle()
}

// prepareStream is prepare for a stream to a program that we start: there is no destination to look at.
func prepareStream(con *console, source string, flags *streamFlags) (*emission, error) {
	if source == "" {
		return nil, usagef("DB must not be empty")
	}
	e := &emission{streamFlags: flags, source: source, dest: "-", kind: stream.Stdout, con: con}
	return e, e.settle()
}

// settle decides what the flags leave open.
func (e *emission) settle() (err error) {
	if e.level, err = level(e.Level); err != nil {
		return err
	}
	if e.NoTrailer && e.Sidecar == "" && !e.image() {
		return usagef("--no-trailer needs --sidecar FILE: else nothing could prove the stream complete")
	}
	return e.reserve()
}

// probe finds out what kind of place the destination is. A file's name the engine can say more about.
func (e *emission) probe() (err error) {
	e.kind, err = stream.ProbeTarget(e.dest, e.con.stdout)
	if e.kind == stream.NewFile || err != nil && e.dest != "-" {
		if known := engine.CheckDestination(e.source, e.dest); known != nil {
			if hint := insteadOf(e.dest); hint != "" && engine.IsKind(known, engine.KindExists) {
				return &fault{kind: string(engine.KindExists), err: known, hint: hint}
			}
			return known
		}
	}
	if err != nil {
		return e.outputFault(fmt.Errorf("open destination %s: %w", e.dest, err))
	}
	return nil
}

func level(name string) (stream.Level, error) {
	if name == "" {
		return stream.LevelDefault, nil
	}
	l, err := stream.ParseLevel(name)
	if err != nil {
		return 0, usagef("--level %s: it must be 1 to 22, fastest, default, better or best", name)
	}
	return l, nil
}

// image tells whether the destination becomes a plain database file, not a stream.
func (e *emission) image() bool { return e.kind == stream.NewFile && !e.Zstd }

// reserve sees to it that the names are free.
func (e *emission) reserve() error {
	if e.kind == stream.NewFile {
		if err := atomicfile.CheckAbsent(e.dest + ".sha256"); err != nil {
			return fileFault(fmt.Errorf("create %s: %s.sha256: %w", e.dest, e.dest, cause(err)))
		}
	}
	e.digestName = e.Sidecar
	if e.Sidecar == "" && (e.image() || e.to.dir != "") && !e.NoSidecar {
		e.digestName = e.dest + ".sha256"
	}
	if e.digestName == "" {
		return nil
	}
	return e.checkDigestName()
}

func (e *emission) checkDigestName() error {
	for _, database := range []string{e.source, e.dest} {
		if belongsTo(e.digestName, database) {
			return usagef("--sidecar %s: the name belongs to %s", e.digestName, database)
		}
	}
	if err := atomicfile.CheckAbsent(e.digestName); err != nil {
		return fileFault(fmt.Errorf("create %s: %w", e.digestName, cause(err)))
	}
	return nil
}

// begin makes the sidecar, still private, while nothing is out that it would be missing for.
func (e *emission) begin() (err error) {
	if e.digestName == "" {
		return nil
	}
	if e.sidecar, err = atomicfile.Create(e.digestName); err != nil {
		return fileFault(fmt.Errorf("create %s: %w", e.digestName, cause(err)))
	}
	return nil
}

// Close removes what is still private.
func (e *emission) Close() {
	if e != nil && e.sidecar != nil {
		e.sidecar.Close()
	}
}

func (e *emission) engineOptions() engine.Options {
	opts := engine.Options{
		Check:        e.Check,
		BusyTimeout:  engineTimeout(e.BusyTimeout),
		PagesPerStep: int(e.PagesPerStep),
		TempDir:      e.Tmpdir,
	}
	if e.image() {
		opts.Destination = e.dest
	} else if e.kind == stream.NewFile && e.Tmpdir == "" {
		opts.TempDir = filepath.Dir(e.dest)
	}
	return opts
}

// engineTimeout translates: on the command line 0 is not to wait, in the engine's options it is the default.
func engineTimeout(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// outputFault tells whose failure it is: what the engine or the context says stands, what is left came from the
// destination.
func (e *emission) outputFault(err error) error {
	var known *engine.Error
	switch {
	case errors.As(err, &known), errors.Is(err, stream.ErrTerminal), errors.Is(err, stream.ErrClosed), errors.Is(err, stream.ErrStalled):
		return err
	case e.kind == stream.NewFile, e.kind == 0 && e.dest != "-":
		return fileFault(err)
	}
	return &fault{kind: kindOutput, err: err}
}
