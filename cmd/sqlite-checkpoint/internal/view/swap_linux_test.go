package view

import (
	"bytes"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// TestMountSwapped: while one mount or another is made, a directory above a staged one is replaced,
// by a link or by another directory. Nothing is shown, made or removed there.
func TestMountSwapped(t *testing.T) {
	for what, c := range map[string]struct{ other, script string }{
		"link":      {"live/a/other", "test ! -e theirs/dir/app.db || ls theirs/dir"},
		"directory": {"theirs", "true"},
	} {
		t.Run(what, func(t *testing.T) {
			tr := newTree(t)
			tr.mkdir("live/a", "live/a/b", "live/a/b/dir", "staged/a", "staged/a/b", "staged/a/b/dir")
			tr.mkdir("theirs", "theirs/dir")
			tr.write("live/a/b/dir/app.db", "staged/a/b/dir/app.db", "theirs/dir/file")
			tr.must(os.Symlink("anywhere", tr.path("live/a/b/dir/link")))
			tr.must(os.Symlink(tr.path("theirs"), tr.path("live/a/other")))
			before := testkit.TakePicture(t, tr.path("theirs"))
			swap := func() {
				const here = unix.AT_FDCWD
				tr.must(unix.Renameat2(here, tr.path("live/a/b"), here, tr.path(c.other), unix.RENAME_EXCHANGE))
			}
			v := View{Directories: []Directory{tr.directory(""), tr.directory("/a/b/dir", "app.db")}}
			at := 1
			for ; tr.mountSlowly(v, c.script, at, swap); at++ {
				before.MustMatch(t, tr.path("theirs"))
			}
			if at < 5 {
				t.Errorf("swapped during %d mounts only", at-1)
			}
		})
	}
}

// mountSlowly runs a script, which must print nothing, in a view, and calls swap during a mount and
// after it all. It reports whether there were so many mounts; without them all must go well.
func (tr *tree) mountSlowly(v View, script string, during int, swap func()) bool {
	tr.Helper()
	binary, err := os.Executable()
	tr.must(err)
	cmd := tr.command(v, script)
	cmd.Path = testkit.Tool(tr.T, "strace")
	cmd.Args = slices.Concat([]string{"strace", "-f", "-o", tr.path("trace"), "-e", "trace=mount", "-e",
		"inject=mount:delay_exit=50000", "bash", "-c", `exec -a "$0" "$@"`, launcherName, binary}, cmd.Args[1:])
	var out bytes.Buffer
	cmd.Stdout = &out
	os.Remove(tr.path("trace"))
	tr.must(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if !tr.untilMounts(during, ended) {
		return false
	}
	swap()
	err = <-ended
	swap()
	if out.Len() > 0 {
		tr.Errorf("swapped during mount %d: %v, it shows %s", during, err, &out)
	}
	return true
}

// untilMounts waits for the beginning of a mount, and reports whether there is one.
func (tr *tree) untilMounts(number int, ended chan error) bool {
	for {
		trace, _ := os.ReadFile(tr.path("trace"))
		if bytes.Count(trace, []byte("mount(")) >= number {
			return true
		}
		select {
		case err := <-ended:
			tr.must(err)
			return false
		case <-time.After(time.Millisecond):
		}
	}
}
