package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

func open(t *testing.T, dir string) *Place {
	t.Helper()
	p, err := OpenPlace(dir)
	must(t, err)
	t.Cleanup(func() { p.Close() })
	return p
}

// TestPlaceStays: somebody who may write to its parent has given the directory's name to another
// one. Everything happens in the one that was opened, and the other one does not change.
func TestPlaceStays(t *testing.T) {
	top := t.TempDir()
	ours, theirs := filepath.Join(top, "ours"), filepath.Join(top, "theirs")
	for _, dir := range []string{ours, theirs} {
		must(t, os.Mkdir(dir, 0o700))
		for _, name := range []string{"old", "gone"} {
			must(t, os.WriteFile(filepath.Join(dir, name), []byte(dir), 0o600))
		}
	}
	p := open(t, ours)
	f, err := p.Create("new")
	must(t, err)
	d, err := p.NewDir()
	must(t, err)
	must(t, os.Rename(ours, filepath.Join(top, "moved")))
	must(t, os.Symlink(theirs, ours))

	must(t, f.Commit())
	must(t, f.Close())
	must(t, d.Close())
	must(t, p.Replace("old", []byte("replaced"), 0o600))
	must(t, p.Link("gone", "second"))
	must(t, p.Remove("gone"))
	if err := p.CheckAbsent("new"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("the new file: %v", err)
	}
	if got, err := p.Names(); err != nil || len(got) != 3 {
		t.Errorf("it has %v, %v", got, err)
	}
	if got := names(t, filepath.Join(top, "moved")); got != "new old second" {
		t.Errorf("the directory has %s", got)
	}
	if got, _ := os.ReadFile(filepath.Join(theirs, "old")); string(got) != theirs || names(t, theirs) != "gone old" {
		t.Errorf("the other directory has %s, and old says %q", names(t, theirs), got)
	}
	f2, err := p.Open("old")
	must(t, err)
	f2.Close()
}

// TestPlaceOutlived: files that were created in a place no longer need it.
func TestPlaceOutlived(t *testing.T) {
	dir := t.TempDir()
	p := open(t, dir)
	f, err := p.Create("new")
	must(t, err)
	for range 2 {
		must(t, p.Close())
	}
	must(t, f.Commit())
	must(t, f.Close())
	if names(t, dir) != "new" {
		t.Errorf("it has %s", names(t, dir))
	}
}

// TestForeignLink: root follows only its own symbolic links, wherever on the path they are.
func TestForeignLink(t *testing.T) {
	testkit.NeedsRoot(t)
	top := t.TempDir()
	t.Chdir(top)
	must(t, os.MkdirAll("dir/sub", 0o700))
	for name, target := range map[string]string{
		"own": "dir", "absolute": filepath.Join(top, "own/sub"), "chain": "own", "up": "dir/sub/../sub",
		"foreign": "dir", "through": "foreign", "proc": "/proc/self/cwd", "loop": "loop", "dangling": "none",
	} {
		must(t, os.Symlink(target, name))
	}
	must(t, os.WriteFile("file", nil, 0o600))
	must(t, os.Symlink("file", "tofile"))
	must(t, os.Lchown("foreign", 65534, 65534))
	must(t, os.Chown("dir", 65534, 65534)) // whoever has the directory may have links of root's in it
	for path, want := range map[string]error{
		".": nil, "dir": nil, "dir/sub/": nil, "own": nil, "own/sub": nil, "chain/./sub/..": nil, "absolute": nil,
		"up":       nil,
		"proc/dir": nil, "/": nil, filepath.Join(top, "own"): nil,
		"foreign": ErrForeignLink, "foreign/sub": ErrForeignLink, "through": ErrForeignLink,
		"own/../foreign/sub":                 ErrForeignLink,
		filepath.Join(top, "foreign", "sub"): ErrForeignLink,
		"none":                               fs.ErrNotExist,
		"dangling":                           fs.ErrNotExist, "none/..": fs.ErrNotExist, "": fs.ErrNotExist,
	} {
		p, err := OpenPlace(path)
		if !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", path, err, want)
		}
		if err != nil {
			continue
		}
		here, _ := p.Lstat(".")
		if there, err := os.Stat(path); err != nil || !os.SameFile(here, there) {
			t.Errorf("%q: another directory: %v", path, err)
		}
		p.Close()
	}
	for _, path := range []string{"loop", "file", "tofile", "file/.."} {
		if p, err := OpenPlace(path); err == nil {
			t.Errorf("%q: %v", path, p)
		}
	}
	if err := Replace("foreign/name", nil, 0o600); !errors.Is(err, ErrForeignLink) || names(t, "dir") != "sub" {
		t.Errorf("Replace: %v, left %s", err, names(t, "dir"))
	}
}

// TestDirectoryAsFile: a name that ends in a slash is not that of a file.
func TestDirectoryAsFile(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir + "/", dir + "//", dir + "/.", dir} {
		if f, err := Create(path); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Create(%s) = %v, %v", path, f, err)
		}
		if err := Replace(path, nil, 0o600); err == nil || names(t, dir) != "" {
			t.Errorf("Replace(%s) = %v, left %s", path, err, names(t, dir))
		}
	}
}

// TestOtherNamespace: a path through /proc leads to where the kernel follows it, into another mount
// namespace, not to where the text of its links leads here.
func TestOtherNamespace(t *testing.T) {
	testkit.NeedsRoot(t)
	top := t.TempDir()
	cmd := exec.Command(testkit.Tool(t, "unshare"), "--mount", "sh", "-ec",
		`mount -t tmpfs none "$0"; echo; read wait`, top)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	defer func() { in.Close(); cmd.Wait() }()
	out.Read(make([]byte, 1))
	there := fmt.Sprintf("/proc/%d/root%s/name", cmd.Process.Pid, top)
	must(t, Replace(there, []byte("text"), 0o600))
	if data, err := os.ReadFile(there); string(data) != "text" || names(t, top) != "" {
		t.Errorf("%q, %v; here there is %s", data, err, names(t, top))
	}
}
