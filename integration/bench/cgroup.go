package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A cgroup limits the memory of the processes in it, page cache included.
type cgroup struct{ dir string }

// newCgroup creates a cgroup below the root of the hierarchy, version 1 or 2. It fails if this
// process lacks the permission.
func newCgroup(limit int64) (*cgroup, error) {
	const root = "/sys/fs/cgroup"
	parent, file := filepath.Join(root, "memory"), "memory.limit_in_bytes"
	if controllers, err := os.ReadFile(filepath.Join(root, "cgroup.controllers")); err == nil {
		if !strings.Contains(string(controllers), "memory") {
			return nil, errors.New("no cgroup controller for memory")
		}
		parent, file = root, "memory.max"
		if err := os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+memory"), 0); err != nil {
			return nil, err
		}
	}
	g := &cgroup{filepath.Join(parent, fmt.Sprintf("sqlite-checkpoint-bench-%d", os.Getpid()))}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(g.dir, file), fmt.Append(nil, limit), 0); err != nil {
		g.remove()
		return nil, err
	}
	return g, nil
}

// command returns a command line that runs argv in the cgroup.
func (g *cgroup) command(argv ...string) []string {
	const enter = `echo $$ >"$0" && exec "$@"`
	return append([]string{"sh", "-c", enter, filepath.Join(g.dir, "cgroup.procs")}, argv...)
}

// remove removes the cgroup. It retries, because the kernel may still count a process in it for a
// moment after wait(2).
func (g *cgroup) remove() {
	for range 100 {
		if os.Remove(g.dir) == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
