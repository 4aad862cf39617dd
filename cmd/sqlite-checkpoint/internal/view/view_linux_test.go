package view

import (
	"bufio"
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// The test binary is started again under these names: by launcher as any user, and by viewer in the
// view.
const (
	launcherName = "launcher" // arguments: the file that holds the View, and a script
	viewerName   = "viewer"   // likewise
)

func TestMain(m *testing.M) {
	switch os.Args[0] {
	case ProbeName:
		os.Exit(ProbeMain())
	case launcherName:
		os.Exit(launcher())
	case viewerName:
		fmt.Fprintln(os.Stderr, viewer())
		os.Exit(1)
	}
	os.Exit(testkit.LeakChecked(m).Run())
}

func launcher() int {
	if err := Probe(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = viewerName
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = os.Stdin, os.Stdout, os.Stderr, &syscall.SysProcAttr{}
	Isolate(cmd.SysProcAttr)
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func viewer() error {
	runtime.LockOSThread() // whose capabilities the shell inherits
	f, err := os.Open(os.Args[1])
	if err != nil {
		return err
	}
	var v View
	if err := gob.NewDecoder(f).Decode(&v); err != nil {
		return err
	}
	if err := Mount(v); err != nil {
		return err
	}
	return syscall.Exec("/bin/bash", []string{"bash", "-euc", os.Args[2]}, os.Environ())
}

// A tree is a live directory, live/, and a staged one, staged/, below a root that other users can
// enter.
type tree struct {
	*testing.T
	root string
	uid  uint32 // who looks
}

func newTree(t *testing.T) *tree {
	testkit.NeedsRoot(t)
	root := t.TempDir()
	for dir := root; dir != os.TempDir(); dir = filepath.Dir(dir) {
		os.Chmod(dir, 0o755)
	}
	tr := &tree{T: t, root: root}
	tr.mkdir("live", "staged")
	return tr
}

func (tr *tree) path(name string) string { return filepath.Join(tr.root, name) }

func (tr *tree) mkdir(names ...string) {
	tr.Helper()
	for _, name := range names {
		tr.must(os.Mkdir(tr.path(name), 0o755))
	}
}

// write creates files, each with its own name as content.
func (tr *tree) write(names ...string) {
	tr.Helper()
	for _, name := range names {
		tr.must(os.WriteFile(tr.path(name), []byte(name), 0o644))
	}
}

func (tr *tree) must(err error) {
	tr.Helper()
	if err != nil {
		tr.Fatal(err)
	}
}

func (tr *tree) view(copies ...string) View {
	return View{Directories: []Directory{tr.directory("", copies...)}}
}

func (tr *tree) directory(below string, copies ...string) Directory {
	return Directory{Path: tr.path("live" + below), Staged: tr.path("staged" + below), Copies: copies}
}

// run runs a script in the view and in the root directory, and returns what it prints.
func (tr *tree) run(v View, script string) string {
	tr.Helper()
	out, err := tr.command(v, script).CombinedOutput()
	if err != nil {
		tr.Fatalf("%s: %v\n%s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (tr *tree) command(v View, script string) *exec.Cmd {
	tr.Helper()
	var spec bytes.Buffer
	tr.must(gob.NewEncoder(&spec).Encode(v))
	tr.must(os.WriteFile(tr.path("spec"), spec.Bytes(), 0o644))
	cmd := exec.Command("/proc/self/exe", tr.path("spec"), script)
	cmd.Args[0] = launcherName
	cmd.Dir = tr.root
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: tr.uid, Gid: tr.uid}}
	return cmd
}

func (tr *tree) want(got, want string) {
	tr.Helper()
	if got != want {
		tr.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// The copy stands in for the database, side files and newcomers are not seen, everything else is
// the live file itself.
func TestMount(t *testing.T) {
	tr := newTree(t)
	tr.mkdir("live/dir", "live/empty")
	tr.write("live/app.db", "live/app.db-wal", "live/app.db-shm", "live/bad.db", "live/bad.db-journal",
		"live/new.db", "live/new.db-wal", "live/other", "live/other-wal", "live/dir/file", "live/new\nline \\ \xff")
	for _, name := range []string{"live/new.db", "live/as it is.db"} {
		tr.must(os.WriteFile(tr.path(name), []byte(magic+strings.Repeat("x", minSize)), 0o644))
	}
	tr.must(os.WriteFile(tr.path("live/too short"), []byte(magic), 0o644))
	tr.must(os.Symlink("app.db", tr.path("live/link")))
	tr.must(unix.Mkfifo(tr.path("live/fifo"), 0o600))
	tr.must(os.Lchown(tr.path("live/link"), 1, 2))
	tr.mkdir("live/.sqlite-checkpoint-0123")
	tr.write("staged/app.db")
	old := time.Unix(1e9, 5)
	tr.must(os.Chtimes(tr.path("live"), old, old))
	before := testkit.TakePicture(t, tr.path("live"))
	v := tr.view("app.db")
	v.Directories[0].Absent, v.Directories[0].Live = []string{"bad.db"}, []string{"as it is.db"}

	tr.want(tr.run(v, "cd live; LC_ALL=C ls -bA; stat -c %Y .; cat app.db; readlink link; stat -c %u:%g link"),
		"app.db\nas\\ it\\ is.db\ndir\nempty\nfifo\nlink\nnew\\nline\\ \\\\\\ \\377\nother\nother-wal\ntoo\\ short\n"+
			"1000000000\nstaged/app.dbapp.db\n1:2")
	tr.want(tr.run(v, "stat -c '%n %d:%i %s %y' live/other live/dir/file live/dir live/fifo"),
		stat(t, tr.root, "live/other", "live/dir/file", "live/dir", "live/fifo"))
	before.MustMatch(t, tr.path("live"))
}

func stat(t *testing.T, dir string, names ...string) string {
	cmd := exec.Command("stat", append([]string{"-c", "%n %d:%i %s %y"}, names...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// A second view of the same stage changes nothing in it; one after changes of the live directory
// changes only what has changed.
func TestMountAgain(t *testing.T) {
	tr := newTree(t)
	tr.mkdir("live/dir")
	tr.write("live/app.db", "live/file", "live/gone", "live/turned", "staged/app.db")
	tr.must(os.Symlink("file", tr.path("live/link")))
	v := tr.view("app.db")
	tr.run(v, "true")
	before := testkit.TakePicture(t, tr.path("staged"))
	tr.run(v, "true")
	before.MustMatch(t, tr.path("staged"))

	for _, name := range []string{"gone", "turned", "dir", "link"} {
		tr.must(os.Remove(tr.path("live/" + name)))
	}
	tr.write("live/new", "live/dir")
	tr.mkdir("live/turned")
	tr.must(os.Symlink("new", tr.path("live/link")))
	tr.want(tr.run(v, "cd live; ls -A --file-type; readlink link"), "app.db\ndir\nfile\nlink@\nnew\nturned/\nnew")
}

// Staged directories within each other, with and without a directory between them that has no copy.
func TestMountNested(t *testing.T) {
	tr := newTree(t)
	for _, root := range []string{"live", "staged"} {
		tr.mkdir(root+"/a", root+"/a/b", root+"/a/b/c", root+"/a/gone")
	}
	tr.write("live/x", "live/a/x", "live/a/b/x", "live/a/b/c/x", "live/a/b/c/file", "live/a/gone/x",
		"staged/x", "staged/a/x", "staged/a/b/c/x", "staged/a/gone/x")
	v := tr.view("x")
	for _, below := range []string{"/a", "/a/b/c", "/a/gone"} {
		v.Directories = append(v.Directories, tr.directory(below, "x"))
	}
	tr.must(os.RemoveAll(tr.path("live/a/gone")))
	tr.want(tr.run(v, `for f in $(find live -type f | LC_ALL=C sort); do echo "$f: $(cat $f)"; done`),
		"live/a/b/c/file: live/a/b/c/file\nlive/a/b/c/x: staged/a/b/c/x\nlive/a/b/x: live/a/b/x\n"+
			"live/a/gone/x: staged/a/gone/x\nlive/a/x: staged/a/x\nlive/x: staged/x")
}

// What the application does meanwhile is not seen, and a relative path does not lead past the view.
func TestMountHolds(t *testing.T) {
	tr := newTree(t)
	tr.write("live/app.db", "live/other", "live/removed", "staged/app.db")
	cmd := tr.command(tr.view("app.db"), "echo ready; read; cat app.db; ls -A; cat removed")
	cmd.Dir = tr.path("live")
	in, err := cmd.StdinPipe()
	tr.must(err)
	out, err := cmd.StdoutPipe()
	tr.must(err)
	tr.must(cmd.Start())
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); line != "ready\n" {
		t.Fatalf("%q %v", line, err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	tr.must(err)
	if strings.Contains(string(mounts), tr.root) {
		t.Error("the view is mounted for others, too")
	}
	tr.must(os.Rename(tr.path("live/other"), tr.path("live/app.db")))
	tr.must(os.Remove(tr.path("live/removed")))
	tr.write("live/app.db-wal", "live/app.db-journal", "live/new")
	in.Write([]byte("\n"))
	rest, err := io.ReadAll(lines)
	tr.must(errors.Join(err, cmd.Wait()))
	tr.want(string(rest), "staged/app.dbapp.db\nother\nremoved\nlive/removed")
}

// Removing the stage from within the view does not remove a live file.
func TestMountIsSafeFromRemoval(t *testing.T) {
	tr := newTree(t)
	tr.mkdir("live/dir")
	tr.write("live/app.db", "live/file", "live/dir/file", "staged/app.db")
	before := testkit.TakePicture(t, tr.path("live"))
	tr.run(tr.view("app.db"), "rm -rf staged 2>/dev/null || true; rm -rf staged/* || true")
	before.MustMatch(t, tr.path("live"))
}

func TestHide(t *testing.T) {
	tr := newTree(t)
	tr.write("live/app.db", "staged/app.db")
	v := tr.view("app.db")
	v.Hide = []string{tr.path("staged")}
	tr.want(tr.run(v, "ls -A staged; cat live/app.db"), "staged/app.db")
}

func TestMountFails(t *testing.T) {
	tr := newTree(t)
	tr.write("live/app.db")
	v := tr.view("app.db")
	v.Directories[0].Path = tr.path("missing")
	out, err := tr.command(v, "echo started").CombinedOutput()
	said := string(out)
	if err == nil || strings.Contains(said, "started") || !strings.Contains(said, "missing: no such") {
		t.Errorf("%v: %s", err, out)
	}
}
