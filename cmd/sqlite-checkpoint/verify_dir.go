package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

type verifyDirResult struct {
	Command   string       `json:"command"`
	Source    path         `json:"source"`
	Count     int          `json:"database_count"`
	SizeBytes int64        `json:"size_bytes"`
	Proven    bool         `json:"proven"`
	Checked   engine.Level `json:"checked"` // the weakest
	Unlisted  []path       `json:"unlisted,omitempty"`
	Elapsed   millis       `json:"elapsed_ms"`
}

func (r *verifyDirResult) lines() []string {
	return []string{
		fmt.Sprintf("%s: %s, %s, length and SHA-256 match", r.Source,
			plural(r.Count, "database", "databases"), humanize.IBytes(uint64(r.SizeBytes))),
		"complete: " + plural(r.Count, "database", "databases"),
	}
}

// verifyDirectory verifies every database that the directory's manifest lists. All that fail are
// named.
func (cmd *verifyCmd) verifyDirectory(ctx context.Context, con *console) error {
	start := time.Now()
	listed, err := readManifest(cmd.Src)
	if err != nil {
		return err
	}
	result := &verifyDirResult{Command: "verify", Source: path(cmd.Src), Count: len(listed), Proven: true}
	var failed []error
	for _, entry := range listed {
		verified, err := cmd.verifyListed(ctx, con, entry)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		result.SizeBytes += verified.SizeBytes
		result.Checked = weaker(result.Checked, engine.Level(verified.Checked))
	}
	if len(failed) > 0 {
		return manifestFault(cmd.Src, failed, len(listed))
	}
	if result.Unlisted, err = unlisted(ctx, cmd.Src, listed); err != nil {
		return err
	}
	for _, name := range result.Unlisted {
		con.warn(fmt.Sprintf("%s: not listed in %s, not verified", name, manifestName))
	}
	result.Elapsed = since(start)
	return con.show(result)
}

// weaker returns the weaker of two levels; the first may be empty.
func weaker(a, b engine.Level) engine.Level {
	order := []engine.Level{engine.LevelNone, engine.LevelStructural, engine.LevelQuick, engine.LevelFull}
	if a == "" || slices.Index(order, b) < slices.Index(order, a) {
		return b
	}
	return a
}

// A listing is a line of a manifest.
type listing struct {
	name   string // with the directory's
	digest stream.Digest
}

// holdsNothing reports whether a directory is empty, apart from what a killed backup left behind.
func holdsNothing(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return !strings.HasPrefix(e.Name(), atomicfile.Prefix)
	})
}

// readManifest reads the manifest of a directory.
func readManifest(dir string) (list []listing, err error) {
	name := filepath.Join(dir, manifestName)
	if err := checkRegular(name); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		if holdsNothing(dir) {
			return nil, &fault{
				kind: kindEmpty, err: fmt.Errorf("verify %s: the directory is empty", dir),
				hint: "check whether its file system is mounted, and whether the backup has run",
			}
		}
		return nil, &fault{
			kind: kindUsage, err: fmt.Errorf("verify %s: it is a directory without %s", dir, manifestName),
			hint: "shadow makes one; list --verify proves dated copies; name a file to verify that file",
		}
	}
	if err != nil {
		return nil, inputFault(name, err)
	}
	for line := range strings.Lines(string(data)) {
		digest, below, err := stream.SplitSidecar([]byte(line))
		if err == nil && !filepath.IsLocal(below) {
			err = fmt.Errorf("%w: %q is not below the directory", stream.ErrSidecar, below)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		list = append(list, listing{filepath.Join(dir, below), digest})
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("read %s: %w: it lists no database", name, stream.ErrSidecar)
	}
	return list, nil
}

// verifyListed verifies a file against the digest in the manifest. It does not follow symbolic
// links.
func (cmd *verifyCmd) verifyListed(ctx context.Context, con *console, entry listing) (*verifyResult, error) {
	info, err := os.Lstat(entry.name)
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", entry.name, cause(err))
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("verify %s: not a regular file", entry.name)
	}
	in, err := cmd.open(ctx, entry.name, proofFlags{SHA256: entry.digest.String()})
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return cmd.verify(ctx, con, in, entry.name, nil)
}

// manifestFault returns an error that lists the databases that are missing or damaged. One that is
// in use or unreadable decides the status only if nothing worse is wrong with another.
func manifestFault(dir string, failed []error, count int) error {
	f := &fault{kind: kindDamagedTree, err: fmt.Errorf("verify %s: %d of %s not whole",
		dir, len(failed), plural(count, "database is", "databases are"))}
	for _, err := range failed {
		f.findings = append(f.findings, err.Error())
	}
	damaged := func(err error) bool {
		return classify(err).kind != kindInUse && !errors.Is(err, fs.ErrPermission)
	}
	switch {
	case slices.ContainsFunc(failed, damaged):
	case errors.Is(failed[0], fs.ErrPermission):
		f.kind, f.hint = engine.KindUnreadable, readAsOwner
	default:
		f.kind = kindInUse
	}
	return f
}

// unlisted returns the databases below the directory that the manifest does not list.
func unlisted(ctx context.Context, dir string, listed []listing) (names []path, err error) {
	found, err := engine.FindDatabases(ctx, dir, engine.FindOptions{})
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, entry := range listed {
		known[entry.name] = true
	}
	for _, database := range found.Databases {
		if !known[database] {
			names = append(names, path(database))
		}
	}
	return names, nil
}
