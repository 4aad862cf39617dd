package integration

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/picture"
)

// A shadowed is an application's directory, srv/app on a bench, with databases and other files.
type shadowed struct {
	*bench
	root      string
	databases []string // below root, sorted
	others    []string
}

// newShadowed makes one with a number of databases, in WAL mode and not, in nested directories,
// some of them with odd names, and with other files. Every user may read it; it belongs to app.
func newShadowed(b *bench, databases, others int) *shadowed {
	b.Helper()
	s := &shadowed{bench: b, root: b.path("srv/app")}
	b.check(os.MkdirAll(s.root, 0o755))
	for _, mode := range []string{"WAL", "DELETE"} {
		b.newLedger(mode, mode)
	}
	for i := range databases {
		mode := []string{"WAL", "DELETE"}[i%2]
		odd := []string{"", " with spaces", "\nline", "-x*?[]$", "", "ünï\xff"}[i%6]
		s.databases = append(s.databases, fmt.Sprintf("dir%d/sub%d/%02d%s.db", i%3, i%5, i, odd))
		s.add(s.databases[i], b.read(mode))
	}
	for i := range others {
		s.others = append(s.others, fmt.Sprintf("dir%d/sub%d/file %d", i%4, i%7, i))
		s.add(s.others[i], fmt.Appendf(nil, "other %d", i))
	}
	slices.Sort(s.databases)
	s.chown(app)
	return s
}

func (s *shadowed) path(name string) string { return filepath.Join(s.root, name) }

func (s *shadowed) add(name string, data []byte) {
	s.Helper()
	s.check(os.MkdirAll(filepath.Dir(s.path(name)), 0o755))
	s.check(os.WriteFile(s.path(name), data, 0o640))
}

func (s *shadowed) chown(uid int) {
	s.Helper()
	s.check(filepath.WalkDir(s.root, func(path string, _ fs.DirEntry, err error) error {
		s.check(err)
		return os.Lchown(path, uid, uid)
	}))
}

// settle waits until a token of every database proves something.
func (s *shadowed) settle() {
	s.Helper()
	now := time.Now()
	eventually(s, "the databases are two seconds old", func() bool { return time.Since(now) > 2100*time.Millisecond })
}

// A plain restore of one snapshot gives an application's whole directory back: databases that are
// whole and consistent, though written to meanwhile, all else as it is.
func TestShadowRestic(t *testing.T) {
	s := newShadowed(newBench(t), 50, 1000)
	hostile := s.databases[7]
	s.check(os.Chmod(s.path(hostile), 0o400))
	s.check(os.Link(s.path(s.databases[8]), s.bench.path("linked")))
	s.check(os.Symlink(filepath.Base(hostile), s.path("link to a database")))
	old := time.Unix(1e9, 0)
	s.check(os.Chtimes(s.path(hostile), old, old))
	t.Setenv(pauseEnv, "10ms")
	plain := slices.DeleteFunc(slices.Clone(s.databases), func(name string) bool {
		return name == hostile || strings.ContainsAny(name, "?\n\xff") // which no URI can have
	})
	for _, name := range plain[:10] {
		startWriter(t, s.path(name))
	}
	for _, restic := range []string{"restic", "bin/restic"} {
		t.Run(restic, func(t *testing.T) {
			t.Setenv("RESTIC", tool(t, restic))
			repository := "repository-" + filepath.Base(filepath.Dir(restic))
			t.Setenv("RESTIC_REPOSITORY", s.bench.path(repository))
			s.restic(repository, "init").exits(0)
			s.restic(repository, "shadow").exits(0)
			s.restic(repository, "restore").exits(0)
			s.mustBeRestored(s.bench.path("restored-" + repository + s.root))
		})
	}
}

// restic runs one of restic's verbs on a repository, "shadow" being a backup of the root through
// the program.
func (s *shadowed) restic(repository, verb string) outcome {
	s.Helper()
	return s.bash("export RESTIC_REPOSITORY=$PWD/" + repository + "\n" + map[string]string{
		"init":    `"$RESTIC" init`,
		"shadow":  `sqlite-checkpoint shadow "$PWD/srv/app" -- "$RESTIC" backup "$PWD/srv/app"`,
		"restore": `"$RESTIC" restore latest --target restored-` + repository,
	}[verb])
}

// mustBeRestored compares a directory with the live one.
func (s *shadowed) mustBeRestored(restored string) {
	s.Helper()
	manifest := exec.Command("sha256sum", "--check", "--strict", "--quiet", ".sqlite-checkpoint.sha256")
	manifest.Dir = restored
	if out, err := manifest.CombinedOutput(); err != nil {
		s.Errorf("%v: %s", err, out)
	}
	for _, name := range s.databases {
		live, err := os.Lstat(s.path(name))
		s.check(err)
		info, err := os.Lstat(filepath.Join(restored, name))
		s.check(err)
		owner := info.Sys().(*syscall.Stat_t)
		written := time.Since(live.ModTime()) < time.Hour
		if owner.Uid != app || owner.Gid != app || info.Mode() != live.Mode() ||
			written && info.ModTime().After(live.ModTime()) || !written && !info.ModTime().Equal(live.ModTime()) {
			s.Errorf("%q: %d %v %v, live %v %v", name, owner.Uid, info.Mode(), info.ModTime(), live.Mode(), live.ModTime())
		}
	}
	count := 0
	s.check(filepath.WalkDir(restored, func(path string, entry fs.DirEntry, err error) error {
		count++
		if slices.Contains([]string{".db-wal", ".db-shm", ".db-journal"}, filepath.Ext(path)) {
			s.Errorf("%q was restored", path)
		}
		return err
	}))
	for _, name := range append(s.others, "link to a database") {
		if got, want := content(s, filepath.Join(restored, name)), content(s, s.path(name)); got != want {
			s.Errorf("%q: %s, want %s", name, got, want)
		}
	}
	for _, name := range s.databases {
		s.commits(filepath.Join(restored, name))
	}
	s.Logf("%d entries restored", count)
}

// content is what an observer sees of an entry, but its inode.
func content(t testing.TB, path string) string {
	t.Helper()
	line, err := picture.Line(path)
	if err != nil {
		t.Error(err)
	}
	fields := strings.Fields(line)
	return strings.Join(slices.DeleteFunc(fields, func(f string) bool { return strings.HasPrefix(f, "inode=") }), " ")
}
