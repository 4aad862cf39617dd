package stage

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.LeakChecked(m).Run()) }

type fixture struct {
	*testing.T
	root string
}

func newFixture(t *testing.T) fixture {
	f := fixture{t, t.TempDir()}
	f.must(os.Mkdir(f.path("app"), 0o750))
	return f
}

func (f fixture) path(name string) string { return filepath.Join(f.root, name) }

func (f fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f fixture) sqlite(name, statements string) string {
	f.Helper()
	out, err := testkit.RunShell(exec.Command(testkit.Tool(f, "sqlite3"), "-batch", "-bail", "-init", "/dev/null",
		f.path(name)), statements)
	if err != nil {
		f.Fatalf("%v\n%s", err, out)
	}
	return strings.TrimSpace(out)
}

// database creates a database that contains its own name.
func (f fixture) database(name string) string {
	f.Helper()
	f.must(os.MkdirAll(filepath.Dir(f.path(name)), 0o755))
	f.sqlite(name, "CREATE TABLE t(x); INSERT INTO t VALUES('"+filepath.Base(name)+"');")
	return f.path(name)
}

// rows fails the test unless the copy has that many rows.
func (f fixture) rows(copied string, want int) {
	f.Helper()
	out, err := exec.Command(testkit.Tool(f, "sqlite3"), "file:"+copied+"?immutable=1",
		"SELECT count(*) FROM t").CombinedOutput()
	if err != nil || string(out) != fmt.Sprintln(want) {
		f.Errorf("%v: %s, want %d rows", err, out, want)
	}
}

func (f fixture) temporary() *Stage {
	f.Helper()
	s, err := Temporary(f.root)
	f.must(err)
	f.Cleanup(func() {
		if _, err := os.Lstat(s.Dir()); err == nil {
			s.Close()
		}
	})
	return s
}

func (f fixture) fill(s *Stage, sources ...string) []Copy {
	f.Helper()
	copies, err := s.Fill(f.Context(), sources, Options{Jobs: 3})
	f.must(err)
	return copies
}

// Every copy has the path, the contents and the attributes of its source.
func TestFill(t *testing.T) {
	f := newFixture(t)
	var sources []string
	for i, name := range []string{"app/a.db", "app/a b\n\\.db", "app/deep/er/c", "app/d.sqlite"} {
		path := f.database(name)
		f.must(os.Chmod(path, os.FileMode(0o400+i)))
		f.must(os.Chtimes(path, time.Unix(1e9, 0), time.Unix(1e9+int64(i), 7)))
		sources = append(sources, path)
	}
	before := testkit.TakePicture(t, f.path("app"))
	s := f.temporary()
	for i, c := range f.fill(s, sources...) {
		f.must(c.Err)
		data, err := os.ReadFile(s.Path(sources[i]))
		f.must(err)
		digest := sha256.Sum256(data)
		if c.Source != sources[i] || !bytes.Equal(c.SHA256, digest[:]) || c.Info.Level != engine.LevelQuick {
			t.Errorf("%+v", c)
		}
		live, err := os.Lstat(sources[i])
		f.must(err)
		copied, err := os.Lstat(s.Path(sources[i]))
		f.must(err)
		if copied.Mode() != live.Mode() || !copied.ModTime().Equal(live.ModTime()) {
			t.Errorf("%s: %v %v, want %v %v", sources[i], copied.Mode(), copied.ModTime(), live.Mode(), live.ModTime())
		}
	}
	before.MustMatch(t, f.path("app"))
	if left, _ := os.ReadDir(filepath.Join(s.Dir(), MetaName)); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	f.must(s.Close())
	if _, err := os.Lstat(s.Dir()); !os.IsNotExist(err) {
		t.Errorf("the stage is left: %v", err)
	}
}

// Files and directories have the owner, mode, extended attributes and access control list of the
// source.
func TestAttributes(t *testing.T) {
	testkit.NeedsRoot(t)
	f := newFixture(t)
	source, dir := f.database("app/a.db"), f.path("app")
	for i, path := range []string{source, dir} {
		f.must(os.Chown(path, 1001+i, 1003+i))
		f.must(os.Chmod(path, 0o640|os.ModeSetgid))
		f.must(unix.Setxattr(path, "user.colour", []byte{byte(i), 0, 255}, 0))
		f.must(unix.Setxattr(path, "user.empty", nil, 0))
		// Version 2: the owner rw, user 1234 r, the group r, the mask r, others nothing.
		acl := "\x02\x00\x00\x00\x01\x00\x06\x00\xff\xff\xff\xff\x02\x00\x04\x00\xd2\x04\x00\x00" +
			"\x04\x00\x04\x00\xff\xff\xff\xff\x10\x00\x04\x00\xff\xff\xff\xff\x20\x00\x00\x00\xff\xff\xff\xff"
		f.must(unix.Setxattr(path, "system.posix_acl_access", []byte(acl), 0))
	}
	f.must(os.Chtimes(dir, time.Unix(1e9, 0), time.Unix(1e9, 9)))
	s := f.temporary()
	f.must(f.fill(s, source)[0].Err)
	f.must(s.Directories([]string{dir}))
	describe := func(path string) string {
		stat, err := exec.Command("stat", "-c", "%u:%g %a %y", path).CombinedOutput()
		f.must(err)
		values, err := extended(path)
		f.must(err)
		return fmt.Sprintf("%s%q", stat, values)
	}
	for _, path := range []string{source, dir} {
		if got, want := describe(s.Path(path)), describe(path); got != want || !strings.Contains(want, "posix_acl") {
			t.Errorf("%s:\n%s\nwant\n%s", path, got, want)
		}
	}
	f.must(unix.Removexattr(dir, "user.colour"))
	f.must(s.Directories([]string{dir}))
	if got, want := describe(s.Path(dir)), describe(dir); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// A commit to the -wal changes the copy's time.
func TestFillWAL(t *testing.T) {
	f := newFixture(t)
	source := f.database("app/a.db")
	app, err := testkit.StartShell(exec.Command(testkit.Tool(t, "sqlite3"), "-batch", "-init", "/dev/null", source))
	f.must(err)
	defer app.Kill()
	_, err = app.Run("PRAGMA journal_mode=WAL; INSERT INTO t VALUES('later');")
	f.must(err)
	wal := time.Unix(2e9, 0)
	f.must(os.Chtimes(source+"-wal", wal, wal))
	s := f.temporary()
	f.must(f.fill(s, source)[0].Err)
	info, err := os.Lstat(s.Path(source))
	f.must(err)
	if !info.ModTime().Equal(wal) {
		t.Errorf("modified %v", info.ModTime())
	}
	f.rows(s.Path(source), 2)
}

// All names of one file are one copy, made by the name that has a -wal.
func TestFillHardLinks(t *testing.T) {
	f := newFixture(t)
	first := f.database("app/a.db")
	used := f.path("app/b.db")
	f.must(os.Link(first, used))
	app, err := testkit.StartShell(exec.Command(testkit.Tool(t, "sqlite3"), "-batch", "-init", "/dev/null", used))
	f.must(err)
	defer app.Kill()
	_, err = app.Run("PRAGMA journal_mode=WAL; INSERT INTO t VALUES('later');")
	f.must(err)
	s := f.temporary()
	copies := f.fill(s, first, used)
	for _, c := range copies {
		f.must(c.Err)
	}
	a, err := os.Stat(s.Path(first))
	f.must(err)
	b, err := os.Stat(s.Path(used))
	f.must(err)
	if !os.SameFile(a, b) || copies[0].Source != first || copies[1].Source != used {
		t.Errorf("%v %v", copies[0], copies[1])
	}
	f.rows(s.Path(first), 2)
}

// A database that fails does not keep the others from being copied.
func TestFillFailure(t *testing.T) {
	f := newFixture(t)
	good, bad := f.database("app/a.db"), f.path("app/b.db")
	f.must(os.WriteFile(bad, []byte("SQLite format 3\x00"+strings.Repeat("x", 4000)), 0o600))
	s := f.temporary()
	copies := f.fill(s, bad, f.path("app/missing.db"), good)
	f.must(copies[2].Err)
	for i, kind := range []engine.Kind{engine.KindNotDatabase, engine.KindMissing} {
		if !errors.Is(copies[i].Err, kind) {
			t.Errorf("%v, want %s", copies[i].Err, kind)
		}
		if _, err := os.Lstat(s.Path(copies[i].Source)); !os.IsNotExist(err) {
			t.Errorf("%s: %v", copies[i].Source, err)
		}
	}
}

// What does not belong to the layout is removed, with points or without.
func TestPrune(t *testing.T) {
	f := newFixture(t)
	for _, points := range []bool{true, false} {
		s := f.temporary()
		for _, dir := range []string{"app/dir", "app/sub/old", "app/full/old", "gone", "app/was.db"} {
			f.must(os.MkdirAll(s.Path("/srv/"+dir), 0o755))
		}
		for _, name := range []string{"app/a.db", "app/old.db", "app/sub/b.db", "gone/c.db"} {
			f.must(os.WriteFile(s.Path("/srv/"+name), []byte("copy"), 0o600))
		}
		f.must(os.WriteFile(s.Path("/srv/app/point"), nil, 0))
		wanted := []string{"/srv/app/a.db", "/srv/app/sub/b.db", "/srv/app/was.db", "/srv/new/d.db"}
		f.must(s.Prune(Layout{Databases: wanted, Points: points}))
		out, err := exec.Command("find", s.Dir(), "-mindepth", "1", "-printf", "%P ").CombinedOutput()
		f.must(err)
		want := map[bool]string{true: "srv/app/dir srv/app/point srv/app/sub/old", false: ""}[points]
		want = strings.TrimSpace(".sqlite-checkpoint srv srv/app srv/app/a.db srv/app/sub srv/app/sub/b.db " + want)
		if got := sorted(string(out)); got != sorted(want) {
			t.Errorf("points %v: %s, want %s", points, got, sorted(want))
		}
		s.Close()
	}
}

func sorted(words string) string {
	return strings.Join(slices.Sorted(slices.Values(strings.Fields(words))), " ")
}

// The next run removes what a killed one has left behind, and nothing else: no stage in use, and
// nothing that only looks like one.
func TestSweep(t *testing.T) {
	f := newFixture(t)
	inUse, killed := f.temporary(), f.temporary()
	f.must(f.fill(killed, f.database("app/a.db"))[0].Err)
	killed.unlock()
	for name, mode := range map[string]os.FileMode{"public": 0o755, "full": 0o700} {
		f.must(os.MkdirAll(f.path(prefix+name+"/file"), mode))
	}
	f.must(os.MkdirAll(f.path("other/"+MetaName), 0o700))
	f.must(os.Symlink("other", f.path(prefix+"link")))
	f.must(os.Mkdir(f.path(prefix+"empty"), 0o700))
	f.must(f.temporary().Close())
	for path, stays := range map[string]bool{
		inUse.Dir(): true, killed.Dir(): false, f.path(prefix + "empty"): false,
		f.path(prefix + "public/file"): true, f.path(prefix + "full/file"): true, f.path("other/" + MetaName): true,
	} {
		if _, err := os.Stat(path); (err == nil) != stays {
			t.Errorf("%s: %v, want it there: %v", path, err, stays)
		}
	}
}
