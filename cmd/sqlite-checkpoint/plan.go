package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// A plan says what a backup will do. Everything that its flags leave open has been decided.
type plan struct {
	*streamFlags
	source, dest string
	target       stream.Target // the kind of dest
	level        stream.Level
	sidecarPath  string // empty for none
	network      bool   // dest is a file on a network or FUSE file system, which may be slow, or hang
}

// newJob plans a backup of source to dest. It fails early where the backup would fail later.
func newJob(con *console, source, dest string, to datedDest, flags *streamFlags) (*job, error) {
	j := &job{plan: plan{streamFlags: flags, source: source, dest: dest}, to: to, con: con}
	if source == "" || dest == "" {
		return nil, usagef("DB and DEST must not be empty")
	}
	return j, j.aim()
}

// aim fails if the destination cannot be created. A dated copy gets another name for one that has
// been taken meanwhile.
func (j *job) aim() error {
	for {
		err := j.checkDestination()
		if !j.rename(err) {
			return err
		}
	}
}

func (j *job) checkDestination() error {
	if err := j.probe(); err != nil {
		return err
	}
	if err := j.resolve(j.to.dir != ""); err != nil {
		return err
	}
	return j.checkNames()
}

// newPipeJob plans a backup whose stream goes to a command.
func newPipeJob(con *console, cmd *pipeCmd) (*job, error) {
	p := plan{streamFlags: &cmd.streamFlags, source: cmd.DB, dest: "-", target: stream.Stdout}
	j := &job{plan: p, command: cmd, con: con}
	if cmd.DB == "" {
		return nil, usagef("DB must not be empty")
	}
	if err := j.resolve(false); err != nil {
		return nil, err
	}
	return j, j.checkNames()
}

// probe determines the kind of the destination. The engine's error says more about a file in the
// way.
func (j *job) probe() (err error) {
	j.target, err = stream.ProbeTarget(j.dest, j.con.stdout)
	if j.target == stream.NewFile || err != nil && j.dest != "-" {
		if known := engine.CheckDestination(j.source, j.dest); known != nil {
			return j.inTheWay(known)
		}
	}
	if err != nil {
		return j.destinationFault(fmt.Errorf("open destination %s: %w", j.dest, err))
	}
	return nil
}

// inTheWay adds a hint to the error for a destination that cannot be created.
func (j *job) inTheWay(err error) error {
	if !errors.Is(err, engine.KindExists) {
		return err
	}
	if missing := missingSource(j.source, "DB comes first, then DEST"); missing != nil {
		return missing
	}
	hint := insteadOf(j.dest)
	if hint == "" && beginsWith(j.dest, databaseMagic) { // it may be the live one
		hint = "choose another name, and check the order: DB comes first, then DEST"
	}
	return &fault{kind: engine.KindExists, err: err, hint: hint}
}

// missingSource fails if source does not exist. If the destination does, the user may have swapped
// the two, and the destination may be the live database.
func missingSource(source, order string) error {
	_, err := os.Lstat(source)
	if !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return &fault{kind: engine.KindMissing, err: fmt.Errorf("open %s: %w", source, cause(err)),
		hint: "check the path, and the order: " + order}
}

// resolve decides what the flags leave open. It depends on nothing else. A dated copy always has a
// sidecar.
func (p *plan) resolve(dated bool) (err error) {
	if p.level, err = parseLevel(p.Level); err != nil {
		return err
	}
	p.sidecarPath = p.Sidecar
	if p.Sidecar == "" && (p.isImage() || dated) && !p.NoSidecar {
		p.sidecarPath = p.dest + ".sha256"
	}
	if p.NoTrailer && p.Sidecar == "" && !p.isImage() {
		return usagef("--no-trailer needs --sidecar FILE: without either, nothing proves the stream complete")
	}
	return nil
}

func parseLevel(name string) (stream.Level, error) {
	if name == "" {
		return stream.LevelDefault, nil
	}
	l, err := stream.ParseLevel(name)
	if err != nil {
		return 0, usagef("--level %s: it must be 1 to 22, fastest, default, better or best", name)
	}
	return l, nil
}

// isImage reports whether the destination becomes a plain database file, not a stream.
func (p *plan) isImage() bool { return p.target == stream.NewFile && !p.Zstd }

// subject returns the file name that the sidecar contains.
func (p *plan) subject() string {
	if p.target == stream.Stdout {
		return "-"
	}
	return filepath.Base(p.dest)
}

// checkNames fails if a name that the backup needs is taken.
func (p *plan) checkNames() error {
	if p.target == stream.NewFile {
		if err := atomicfile.CheckAbsent(p.dest + ".sha256"); err != nil {
			return fileFault(fmt.Errorf("create %s: %s.sha256: %w", p.dest, p.dest, cause(err)))
		}
	}
	if p.sidecarPath == "" {
		return nil
	}
	if p.sidecarPath == "-" {
		return usagef("--sidecar writes a file, not stdout: name FILE (./- for a file of that name)")
	}
	for _, database := range []string{p.source, p.dest} {
		if belongsTo(p.sidecarPath, database) {
			return usagef("--sidecar %s: the name belongs to %s", p.sidecarPath, database)
		}
	}
	if err := atomicfile.CheckAbsent(p.sidecarPath); err != nil {
		return fileFault(fmt.Errorf("create %s: %w", p.sidecarPath, cause(err)))
	}
	return nil
}

func (p *plan) snapshotOptions(place *atomicfile.Place) engine.SnapshotOptions {
	opts := engine.SnapshotOptions{
		Check:        p.Check,
		BusyTimeout:  engineTimeout(p.BusyTimeout),
		PagesPerStep: int(p.PagesPerStep),
		TempDir:      p.Tmpdir,
	}
	if p.target == stream.NewFile {
		opts.Timeout = p.Timeout
	}
	if p.isImage() {
		opts.Destination, opts.Place = p.dest, place
	} else if p.target == stream.NewFile && p.Tmpdir == "" && !p.network {
		opts.TempDir, opts.Place = filepath.Dir(p.dest), place
	}
	return opts
}

// engineTimeout translates a timeout: on the command line 0 means not to wait, to the engine the
// default.
func engineTimeout(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}
