package faults

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// A scene is where a fault happens: a source in a directory of its own, a temporary directory, and
// one for output.
type scene struct {
	*harness.Bench
	source, out string // directories
	db          string // the source
	hidden      bool   // what is wrong with it only SQLite's check finds
	traces      atomic.Int32
	tally       *exitCount
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{Bench: harness.UntidyBench(t, harness.Binary), tally: &exitCount{}}
	for name, dir := range map[string]*string{"source": &s.source, "out": &s.out} {
		*dir = filepath.Join(s.Root, name)
		s.Check(os.Mkdir(*dir, 0o755))
	}
	s.db = filepath.Join(s.source, "app.db")
	return s
}

// part returns a new scene for one of several cases of a row; it counts for the row.
func (s *scene) part(name string, try func(s *scene)) {
	s.TB.(*testing.T).Run(strings.ReplaceAll(name, "/", "_"), func(t *testing.T) {
		part := newScene(t)
		part.tally = s.tally
		try(part)
	})
}

// strace returns a command line that runs another one under strace with these options. It stops
// only at the calls that are traced.
func (s *scene) strace(options ...string) []string {
	return s.straceAll(append(options, "--seccomp-bpf")...)
}

// killing returns a command line that kills another one at its Nth call. With --seccomp-bpf strace
// 6.1 would deliver the signal at the first one or never.
func (s *scene) killing(calls string, n int) []string {
	return s.straceAll("-e", "trace="+calls, "-e", fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", calls, n))
}

func (s *scene) straceAll(options ...string) []string {
	file := filepath.Join(s.Root, fmt.Sprintf("trace.%d", s.traces.Add(1)))
	return slices.Concat([]string{harness.Tool(s.TB, "strace"), "-f", "-qq", "-o", file}, options)
}

// slowly makes every read of path take so many milliseconds.
func (s *scene) slowly(path string, milliseconds int) []string {
	return s.strace("-P", path, "-e", "trace=pread64", "-e", fmt.Sprintf("inject=pread64:delay_enter=%d",
		milliseconds*1000))
}

// user returns a command line that runs another one as a user.
func (s *scene) user(uid int) []string {
	return []string{harness.Tool(s.TB, "setpriv"), fmt.Sprintf("--reuid=%d", uid), fmt.Sprintf("--regid=%d", uid),
		"--clear-groups"}
}

// mounted returns a command line that runs the script and then another one in a new mount
// namespace.
func (s *scene) mounted(script string) []string {
	return []string{harness.Tool(s.TB, "unshare"), "--mount", "sh", "-ec", script + "\nexec \"$@\"", "sh"}
}

// limited returns a command line that runs another one with a resource limit of prlimit.
func (s *scene) limited(limit string) []string { return []string{harness.Tool(s.TB, "prlimit"), limit} }

// inside takes a picture of what is in dir, which itself may change.
func (s *scene) inside(dir string) testkit.Picture {
	s.Helper()
	p := testkit.TakePicture(s.TB, dir)
	delete(p, ".")
	return p
}

// withoutPrivate leaves out the program's private directories.
func withoutPrivate(p testkit.Picture) testkit.Picture {
	maps.DeleteFunc(p, func(name, _ string) bool { return strings.Contains("/"+name, "/"+atomicfile.Prefix) })
	return p
}

// left counts the private directories in the directories.
func (s *scene) left(dirs ...string) (n int) {
	s.Helper()
	for _, dir := range dirs {
		found, err := filepath.Glob(filepath.Join(dir, atomicfile.Prefix+"*"))
		s.Check(err)
		n += len(found)
	}
	return n
}
