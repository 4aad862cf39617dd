package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/dated"
	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// atFlags choose one of the dated copies in a directory.
type atFlags struct {
	At   string `placeholder:"TIME" help:"Of the directory SRC, restore the newest copy that is whole and not later."`
	Name string `placeholder:"DB" help:"With --at: the database, such as app.db or app, if SRC has copies of several."`
}

const latest = "latest"

// check rejects flags that do not go together.
func (f atFlags) check(source string, proof proofFlags) error {
	switch {
	case f.At == "" && f.Name != "":
		return usagef("--name needs --at")
	case f.At == "" && isDirectory(source) && !stream.IsShards(source):
		return usagef("restore %s: it is a directory: choose a copy in it with --at, such as --at latest", source)
	case f.At != "" && proof != proofFlags{}:
		return usagef("--at takes copies with a digest beside them only: leave out --sha256, --sidecar and --unproven")
	}
	return nil
}

// limit returns the time that the copy must not be later than.
func (f atFlags) limit(now time.Time) (time.Time, error) {
	if f.At == latest {
		return time.Unix(1<<40, 0), nil
	}
	limit, err := dated.ParseTime(f.At, now)
	if err != nil {
		return limit, usagef("--at %s: %w; such as: %s", f.At, err, dated.Examples)
	}
	return limit, nil
}

// candidates returns the copies that may be restored, the best first.
func (f atFlags) candidates(con *console, place *atomicfile.Place, now time.Time) ([]*datedCopy, error) {
	limit, err := f.limit(now)
	if err != nil {
		return nil, err
	}
	dir := place.Path()
	found, err := readCopyDir(place, f.Name)
	if err != nil {
		return nil, err
	}
	if len(found.copies) == 0 {
		return nil, noCopy("check the path", "restore %s: there is no dated copy in it", dir)
	}
	if _, err := dated.Choose(found.databases(), ""); err != nil {
		return nil, usagef("restore %s: %w: choose one with --name", dir, err)
	}
	oldest := found.copies[0]
	copies := slices.DeleteFunc(found.copies, func(c *datedCopy) bool { return c.Time.After(limit) })
	if len(copies) == 0 {
		return nil, noCopy("choose a later time: sqlite-checkpoint list "+dir,
			"restore %s: no copy is as old as %s: the oldest is %s",
			dir, limit.Local().Format(time.RFC3339), oldest.Name)
	}
	slices.Reverse(copies)
	if copies[0].Time.After(now) {
		con.warn(copies[0].Name.String() + " is dated in the future: a clock was wrong")
	}
	return copies, nil
}

func noCopy(hint, format string, args ...any) error {
	return &fault{kind: engine.KindMissing, err: fmt.Errorf(format, args...), hint: hint}
}

// installAt restores the first of the candidates that is whole.
func (cmd *restoreCmd) installAt(
	ctx context.Context, con *console, opts engine.InstallOptions, now time.Time,
) (restoreResult, error) {
	place, err := openCopyDir(cmd.Src)
	if err != nil {
		return restoreResult{}, err
	}
	defer place.Close()
	copies, err := cmd.candidates(con, place, now)
	if err != nil {
		return restoreResult{}, err
	}
	var skipped []prunedCopy
	for _, c := range copies {
		result, err := cmd.install(ctx, con, c.path, opts)
		if err == nil || !isUnusable(ctx, err) {
			result.Skipped = skipped
			return result, err
		}
		c.problem = err
		skipped = append(skipped, pruned(c, nil))
		con.warn(fmt.Sprintf("skipped %s: %v", c.Name, err))
	}
	return restoreResult{}, cmd.noneWhole(copies)
}

// noneWhole returns the error for when none of the copies, the newest first, could be restored.
func (cmd *restoreCmd) noneWhole(copies []*datedCopy) error {
	if !slices.ContainsFunc(copies, func(c *datedCopy) bool { return !c.forbidden() }) {
		err := fmt.Errorf("restore %s: none of the copies up to %s can be read: %w",
			cmd.Src, copies[0].Name, copies[0].problem)
		return &fault{kind: engine.KindUnreadable, err: err, hint: readAsOwner}
	}
	newest := copies[0]
	err := fmt.Errorf("restore %s: none of the copies up to %s is whole: %w", cmd.Src, newest.Name, newest.problem)
	hint := "choose a later time: sqlite-checkpoint list --verify " + cmd.Src
	if cmd.At == latest {
		hint = "see what is wrong with each: sqlite-checkpoint list --verify " + cmd.Src
	}
	return &fault{kind: kindDamagedCopies, err: err, hint: hint}
}

// isUnusable reports whether err is the fault of the copy, not of the destination.
func isUnusable(ctx context.Context, err error) bool {
	f := explain(ctx, "restore", err)
	return f.Code == exitStream || f.Code == exitSource || f.Kind == string(engine.KindCorrupt)
}
