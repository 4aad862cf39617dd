package testkit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A Cgroup limits the memory of the processes in it, page cache included.
type Cgroup struct{ dir string }

// NewCgroup creates a cgroup below the root of the hierarchy, version 1 or 2. It fails if this
// process lacks the permission.
func NewCgroup(limit int64) (*Cgroup, error) {
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
	dir, err := os.MkdirTemp(parent, "sqlite-checkpoint-")
	if err != nil {
		return nil, err
	}
	g := &Cgroup{dir}
	if err := os.WriteFile(filepath.Join(g.dir, file), fmt.Append(nil, limit), 0); err != nil {
		g.Remove()
		return nil, err
	}
	return g, nil
}

// Command returns a command line that runs argv in the cgroup.
func (g *Cgroup) Command(argv ...string) []string {
	const enter = `echo $$ >"$0" && exec "$@"`
	return append([]string{"sh", "-c", enter, g.Processes()}, argv...)
}

// Processes returns the file to which a process writes its ID to enter the cgroup.
func (g *Cgroup) Processes() string { return filepath.Join(g.dir, "cgroup.procs") }

// Remove removes the cgroup. It retries, because the kernel may still count a process in it for a
// moment after wait(2).
func (g *Cgroup) Remove() {
	for range 100 {
		if os.Remove(g.dir) == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
