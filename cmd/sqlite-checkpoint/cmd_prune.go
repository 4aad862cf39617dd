package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/dated"
	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/retention"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

type pruneCmd struct {
	Dir         string             `arg:"" name:"dir" help:"The directory."`
	KeepLast    retention.Count    `placeholder:"N" help:"Keep the last N copies; unlimited keeps all."`
	KeepHourly  retention.Count    `placeholder:"N" help:"Keep the newest of each of the last N hours with copies."`
	KeepDaily   retention.Count    `placeholder:"N" help:"Likewise for days."`
	KeepWeekly  retention.Count    `placeholder:"N" help:"Likewise for weeks, which begin on Monday."`
	KeepMonthly retention.Count    `placeholder:"N" help:"Likewise for months."`
	KeepYearly  retention.Count    `placeholder:"N" help:"Likewise for years."`
	KeepWithin  retention.Duration `placeholder:"TIME" help:"Keep copies this close to the newest: 30d, 1y6m."`
	Name        string             `placeholder:"DB" help:"Look at the copies of this database only: app.db, or app."`
	DryRun      bool               `short:"n" help:"Remove nothing, and say what would be removed."`
}

func (*pruneCmd) Help() string {
	return `A copy is kept if at least one rule keeps it; the rules are those of restic forget, for each database by
itself, in local time. Every copy is read first: a damaged one does not count for any rule and is left alone, as is
every file that backup has not made. No copy of a database is removed while its newest copy is not whole. The exit
status is 8 as long as there is a damaged copy: remove it by hand.

  sqlite-checkpoint prune --keep-daily 7 --keep-weekly 5 --keep-monthly 12 /backup`
}

// Run is the command.
func (cmd *pruneCmd) Run(ctx context.Context, con *console) error {
	start := time.Now()
	policy := retention.Policy{
		Last: cmd.KeepLast, Hourly: cmd.KeepHourly, Daily: cmd.KeepDaily, Weekly: cmd.KeepWeekly,
		Monthly: cmd.KeepMonthly, Yearly: cmd.KeepYearly, Within: cmd.KeepWithin,
	}
	if cmd.Dir == "" || policy.Empty() {
		return usagef("prune needs DIR and a rule that keeps something, such as --keep-daily 7")
	}
	dir, err := openCopies(cmd.Dir, cmd.Name)
	if err != nil {
		return err
	}
	defer dir.Close()
	if dir, err = dir.awaitDigests(ctx, cmd.Name); err != nil {
		return err
	}
	if err := dir.prove(ctx, con); err != nil {
		return err
	}
	result := &pruneResult{Command: "prune", Directory: path(cmd.Dir), DryRun: cmd.DryRun}
	result.Databases = []prunedDatabase{}
	for _, database := range dir.databases() {
		result.Databases = append(result.Databases, decide(database, dir.of(database), policy, start))
	}
	if err := result.apply(dir); err != nil {
		return err
	}
	result.Elapsed = since(start)
	if err := con.show(result); err != nil {
		return err
	}
	return moreSerious(result.refusal(), dir.damage("prune"))
}

// digestTimeout bounds how long prune waits for a backup that is about to publish the digest of its
// copy.
const digestTimeout = 5 * time.Second

// awaitDigests lists the directory again until the newest copy of each database has its digest: a
// backup publishes that after the copy. After digestTimeout it takes the directory as it is.
func (d *copyDir) awaitDigests(ctx context.Context, database string) (*copyDir, error) {
	for deadline := time.Now().Add(digestTimeout); time.Now().Before(deadline) && !d.hasDigests(); {
		select {
		case <-ctx.Done():
			return d, context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
		again, err := readCopyDir(d.Place, database)
		if err != nil {
			return d, err
		}
		d = again
	}
	return d, nil
}

func (d *copyDir) hasDigests() bool {
	for _, database := range d.databases() {
		if copies := d.of(database); !copies[len(copies)-1].hasDigest() {
			return false
		}
	}
	return true
}

// of returns the copies of one database.
func (d *copyDir) of(database string) (copies []*datedCopy) {
	for _, c := range d.copies {
		if c.Database == database {
			copies = append(copies, c)
		}
	}
	return copies
}

// decide applies the policy to the copies of one database, the oldest first. Only proven ones
// count, and only they are removed.
func decide(database string, copies []*datedCopy, policy retention.Policy, now time.Time) prunedDatabase {
	result := prunedDatabase{
		Database: path(database), Keep: []prunedCopy{}, Remove: []prunedCopy{}, LeftAlone: []prunedCopy{},
		newest: copies[len(copies)-1],
	}
	var proven []*datedCopy
	var times []time.Time
	for _, c := range slices.Backward(copies) {
		if c.proven {
			proven, times = append(proven, c), append(times, c.Time.Local())
		} else {
			result.LeftAlone = append(result.LeftAlone, pruned(c, nil))
		}
	}
	if !result.newest.proven {
		newest := result.newest
		result.Refused = text(fmt.Sprintf("its newest copy is not proven: %s: %v", newest.Name, newest.problem))
	}
	reasons := policy.Apply(times, now)
	protect(times, reasons, now)
	for i, c := range proven {
		if result.Refused != "" && len(reasons[i]) == 0 {
			reasons[i] = []string{"newest copy is not proven"}
		}
		if len(reasons[i]) == 0 {
			result.Remove, result.doomed = append(result.Remove, pruned(c, nil)), append(result.doomed, c)
		} else {
			result.Keep = append(result.Keep, pruned(c, reasons[i]))
		}
	}
	return result
}

// protect keeps the newest copy, and the newest that is not dated in the future, whatever the
// policy says: if a clock was wrong once, today's copies would otherwise be removed.
func protect(times []time.Time, reasons [][]string, now time.Time) {
	if len(times) == 0 {
		return
	}
	if len(reasons[0]) == 0 {
		reasons[0] = []string{"newest copy"}
	}
	past := slices.IndexFunc(times, func(t time.Time) bool { return !t.After(now) })
	if past > 0 && len(reasons[past]) == 0 {
		reasons[past] = []string{"newest copy that is not dated in the future"}
	}
}

// apply removes copies, and then their sidecars: at no moment is there a copy that has lost its
// sidecar. It also removes sidecars whose copies an earlier run has removed.
func (r *pruneResult) apply(dir *copyDir) error {
	sidecars := slices.DeleteFunc(dir.orphans, func(name string) bool { return !isOrphan(dir.Place, name) })
	for _, database := range r.Databases {
		for _, c := range database.doomed {
			if !database.newest.unchanged() || !c.unchanged() {
				continue
			}
			r.Removed, r.RemovedBytes = r.Removed+1, r.RemovedBytes+c.info.Size()
			sidecars = append(sidecars, c.Name.String()+dated.SidecarSuffix)
			if r.DryRun {
				continue
			}
			if err := removeFile(dir.Place, c.Name.String()); err != nil {
				return err
			}
		}
	}
	if r.DryRun || len(sidecars) == 0 {
		return nil
	}
	return removeSidecars(dir.Place, sidecars)
}

// removeSidecars waits until the removal of the copies is durable.
func removeSidecars(dir *atomicfile.Place, sidecars []string) error {
	if err := dir.Sync(); err != nil {
		return fileFault(fmt.Errorf("sync directory %s: %w", dir.Path(), cause(err)))
	}
	for _, sidecar := range sidecars {
		if err := removeFile(dir, sidecar); err != nil {
			return err
		}
	}
	return nil
}

func removeFile(dir *atomicfile.Place, name string) error {
	if err := dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fileFault(fmt.Errorf("remove %s: %w", within(dir.Path(), name), cause(err)))
	}
	return nil
}

// isOrphan reports whether the file is the sidecar of a copy that no longer exists.
func isOrphan(dir *atomicfile.Place, sidecar string) bool {
	image := strings.TrimSuffix(sidecar, dated.SidecarSuffix)
	if _, err := dir.Lstat(image); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	_, err := sidecarOf(dir, image)
	return err == nil
}
