package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// TestMain lets the test binary be another process that holds a private directory.
func TestMain(m *testing.M) {
	if parent := os.Getenv("ATOMICFILE_TEST_HOLDER"); parent != "" {
		d, err := NewDir(parent)
		fmt.Println(d.Path(), err)
		bufio.NewReader(os.Stdin).ReadByte()
		return
	}
	os.Exit(testkit.LeakChecked(m).Run())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, dir string) string {
	t.Helper()
	return strings.Join(testkit.Names(t, dir), " ")
}

func TestFileCommit(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(filepath.Join(dir, "new"))
	if err != nil {
		t.Fatal(err)
	}
	f.Write([]byte("content"))
	if _, err := os.Lstat(filepath.Join(dir, "new")); !os.IsNotExist(err) {
		t.Error("it has its name before Commit")
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "new")); string(got) != "content" || names(t, dir) != "new" {
		t.Errorf("%q in %s", got, names(t, dir))
	}
	if info, _ := os.Stat(filepath.Join(dir, "new")); info.Mode() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestFileCloseLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(filepath.Join(dir, "new"))
	if err != nil {
		t.Fatal(err)
	}
	f.Write([]byte("half"))
	if err := f.Close(); err != nil || names(t, dir) != "" {
		t.Errorf("%v, left %s", err, names(t, dir))
	}
}

func TestNothingIsReplaced(t *testing.T) {
	for _, late := range []bool{false, true} {
		for _, make := range []func(string) error{
			func(name string) error { return os.WriteFile(name, []byte("mine"), 0o600) },
			func(name string) error { return os.Symlink("nowhere", name) },
			func(name string) error { return os.Mkdir(name, 0o700) },
		} {
			dir := t.TempDir()
			name := filepath.Join(dir, "new")
			if !late {
				make(name)
			}
			f, err := Create(name)
			if late {
				if err != nil {
					t.Fatal(err)
				}
				make(name)
				err = f.Commit()
				f.Close()
			}
			if !errors.Is(err, fs.ErrExist) {
				t.Errorf("late %v: %v", late, err)
			}
			if got, err := os.ReadFile(name); err == nil && string(got) != "mine" {
				t.Errorf("replaced by %q", got)
			}
			if names(t, dir) != "new" {
				t.Errorf("left %s", names(t, dir))
			}
		}
	}
}

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "report")
	for _, content := range []string{"one", "two"} {
		if err := Replace(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(path); string(got) != content || names(t, dir) != "report" {
			t.Errorf("%q in %s", got, names(t, dir))
		}
		info, err := os.Stat(path)
		if want := map[string]fs.FileMode{"one": 0o600, "two": 0o640}[content]; err != nil || info.Mode() != want {
			t.Errorf("%s: mode %v, want %v", content, info.Mode(), want)
		}
		os.Chmod(path, 0o640)
	}
}

// left creates what a killed run leaves behind: a private directory with a file in it.
func left(t *testing.T, dir string) string {
	t.Helper()
	d, err := NewDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	f, err := d.Create("image.db")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	d.dir.Close()
	d.parent.Close()
	live.Lock()
	delete(live.dirs, d)
	live.Unlock()
	return d.Path()
}

// TestSweep: only our own private directories that nobody has locked are removed.
func TestSweep(t *testing.T) {
	testkit.NeedsRoot(t)
	dir := t.TempDir()
	digits := 0
	renamed := func(as string) string { // what left made, under another name
		path := left(t, t.TempDir())
		if as == "" {
			digits++
			as = fmt.Sprintf("%s%024x", Prefix, digits)
		}
		as = filepath.Join(dir, as)
		if err := os.Rename(path, as); err != nil {
			t.Fatal(err)
		}
		return as
	}
	gone := renamed("")
	outside := t.TempDir()
	os.WriteFile(filepath.Join(outside, "image.db"), nil, 0o600)
	link := filepath.Join(dir, Prefix+strings.Repeat("e", 24))
	os.Symlink(outside, link)
	foreign := renamed("")
	os.Chown(foreign, 65534, 65534)
	archive := renamed("")
	os.WriteFile(filepath.Join(archive, "2019.tar"), nil, 0o600)
	nested := renamed("")
	os.Mkdir(filepath.Join(nested, "content"), 0o700)
	kept := []string{
		renamed("other"), renamed(Prefix + "archive"), renamed(Prefix + strings.Repeat("a", 26)),
		archive, nested, link, foreign, hold(t, dir),
	}

	Sweep(dir)

	if _, err := os.Lstat(gone); !os.IsNotExist(err) {
		t.Error("an abandoned directory is still there")
	}
	for _, path := range append(kept, filepath.Join(outside, "image.db"), filepath.Join(archive, "2019.tar"),
		filepath.Join(nested, "content"), filepath.Join(kept[0], "image.db"), filepath.Join(archive, "image.db")) {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("swept: %v", err)
		}
	}
}

// hold has another process hold a private directory below dir until the test ends.
func hold(t *testing.T, dir string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ATOMICFILE_TEST_HOLDER="+dir)
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	path, ok := strings.CutSuffix(strings.TrimSpace(line), " <nil>")
	if err != nil || !ok {
		t.Fatalf("%v: %q", err, line)
	}
	return path
}

// TestSweepAfterKill: the next run removes what SIGKILL leaves behind.
func TestSweepAfterKill(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ATOMICFILE_TEST_HOLDER="+dir)
	cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	cmd.Start()
	bufio.NewReader(out).ReadString('\n')
	cmd.Process.Kill()
	cmd.Wait()
	left := names(t, dir)
	if !strings.HasPrefix(left, Prefix) {
		t.Fatalf("left %q", left)
	}
	d, err := NewDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	if names(t, dir) != "" {
		t.Errorf("left %q", names(t, dir))
	}
}

// TestSweepIsDoneOnce: a second private directory in a Place does not read all of the names again.
func TestSweepIsDoneOnce(t *testing.T) {
	place, err := OpenPlace(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer place.Close()
	for _, want := range []bool{false, true} {
		abandoned := left(t, place.Path())
		d, err := place.NewDir()
		if err != nil {
			t.Fatal(err)
		}
		d.Close()
		if _, err := os.Lstat(abandoned); (err == nil) != want {
			t.Errorf("the abandoned directory is still there: %v, want %v", err == nil, want)
		}
	}
}

func TestDirIsPrivate(t *testing.T) {
	d, err := NewDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if info, _ := os.Stat(d.Path()); info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v", info.Mode())
	}
	f, err := d.Create("content")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := d.Create("content"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("created twice: %v", err)
	}
	os.Symlink("elsewhere", filepath.Join(d.Path(), "image.db"))
	if _, err := d.Create("image.db"); err == nil {
		t.Error("followed a planted link")
	}
	if _, err := d.Create("y"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("made a file that no sweep would remove: %v", err)
	}
}
