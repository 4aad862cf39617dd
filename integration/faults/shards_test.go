package faults

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A shardsUpdate is a backup in shards over those of an earlier one, in a scene of its own.
type shardsUpdate struct {
	*scene
	dir, old string // the directory, and its state before the backup; old need not exist
	images   []string
	names    []string // that a whole backup leaves
}

// newShardsUpdate changes a few shards and removes some, or, with first, creates all.
func newShardsUpdate(t *testing.T, first bool) *shardsUpdate {
	t.Helper()
	u := &shardsUpdate{scene: newScene(t)}
	u.dir, u.old = filepath.Join(u.Root, "shards"), filepath.Join(u.Root, "old")
	u.SQLite(u.db, "PRAGMA page_size=1024;", rowsSQL(100))
	if !first {
		u.try(u.backup(u.old))
		u.images = append(u.images, u.image(u.old))
		u.SQLite(u.db, "UPDATE t SET v='x' WHERE id%7=0; DELETE FROM t WHERE id>60; VACUUM;")
	}
	u.begin()
	u.try(u.backup(u.dir))
	u.images = append(u.images, u.image(u.dir))
	u.names = u.list()
	if shards := len(u.names); shards < 8 {
		t.Fatalf("there are only %q", u.names)
	}
	return u
}

func (u *shardsUpdate) backup(dir string) trial {
	return trial{args: []string{"backup", "--shards", "4KiB", u.db, dir}, prints: true}
}

// begin gives the directory the state of before.
func (u *shardsUpdate) begin() {
	u.Helper()
	u.Check(os.RemoveAll(u.dir))
	if _, err := os.Stat(u.old); err == nil {
		u.Check(exec.Command("cp", "-a", u.old, u.dir).Run())
	}
}

// image returns the SHA-256 of the image in a directory, empty if verify reports that it is
// incomplete: no mixture has a trailer.
func (u *shardsUpdate) image(dir string) string {
	u.Helper()
	var found struct{ SHA256, Kind string }
	tr := trial{args: []string{"verify", "--json", dir}, prints: true, silent: true}
	tr.codes = []int{codeDone, codeSource, codeStream}
	o := u.try(tr)
	u.Check(json.Unmarshal(append(o.stdout, o.stderr...), &found))
	refused := []string{"", "stream_incomplete", "stream_empty", "missing"}
	if !slices.Contains(refused, found.Kind) {
		u.Errorf("verify says %s: %s", found.Kind, o.stderr)
	}
	return found.SHA256
}

func (u *shardsUpdate) list() (names []string) {
	u.Helper()
	u.Check(filepath.WalkDir(u.dir, func(path string, _ os.DirEntry, err error) error {
		names = append(names, strings.TrimPrefix(path, u.dir))
		return err
	}))
	return names
}

// disturbed runs the backup under a program that disturbs it, and then once more. What it leaves is
// one of the two streams, or refused; the second run leaves a whole stream and nothing else.
func (u *shardsUpdate) disturbed(under []string, codes ...int) *aftermath {
	u.Helper()
	tr := u.backup(u.dir)
	tr.under, tr.codes, tr.litter, tr.silent = under, codes, true, true
	o := u.traced(u.begin, tr)
	wanted := append([]string{""}, u.images...)
	if o.code == codeDone {
		wanted = u.images[len(u.images)-1:]
	}
	if found := u.image(u.dir); !slices.Contains(wanted, found) {
		u.Errorf("exit status %d, and there is a stream of %q, want one of %q", o.code, found, wanted)
	}
	next := u.backup(u.dir)
	next.litter = true // that it sweeps
	u.try(next)
	if found := u.image(u.dir); found != u.images[len(u.images)-1] {
		u.Errorf("after the next run there is a stream of %q", found)
	}
	if names := u.list(); !slices.Equal(names, u.names) {
		u.Errorf("after the next run there are %q, want %q", names, u.names)
	}
	return o
}

// shardCalls are the calls that change something on the disk.
var shardCalls = []string{
	"write", "openat", "fsync", "syncfs", "renameat", "unlinkat", "mkdirat", "flock", "fchmod,fchmodat", "linkat",
}

// TestShardsKilledEverywhere kills a backup in shards before its Nth call, for N = 1, 2, 3 ...
func TestShardsKilledEverywhere(t *testing.T) {
	for name, first := range map[string]bool{"update": false, "first": true} {
		for _, call := range shardCalls {
			t.Run(name+"/"+call, func(t *testing.T) {
				t.Parallel()
				u, kills := newShardsUpdate(t, first), 0
				for n, spared := 1, 0; spared < 3 && !t.Failed(); n++ {
					if o := u.disturbed(u.killing(call, n), -1, codeDone); o.code != codeDone {
						kills, spared = kills+1, 0
					} else {
						spared++
					}
				}
				what := fmt.Sprintf("shards, %s: SIGKILL at the Nth call of %s", name, call)
				outcomes.add(0, what, kills, u.tally.verdict(t.Failed()))
			})
		}
	}
}

// TestShardsErrorsEverywhere fails each call of a backup in shards, one after the other.
func TestShardsErrorsEverywhere(t *testing.T) {
	for _, call := range []string{"fsync", "renameat,renameat2", "unlinkat", "mkdirat", "flock", "getdents64"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			u := newShardsUpdate(t, false)
			total := 0
			for _, errno := range []string{"EIO", "ENOSPC"} {
				total += u.sweep(call, errno, true, func(inject []string) *aftermath {
					return u.disturbed(u.strace(inject...), codeDone, codeSource, codeBusy, codeCorrupt, codeSpace)
				})
			}
			outcomes.add(0, "shards: an error at the Nth call of "+call, total, u.tally.verdict(t.Failed()))
		})
	}
}
