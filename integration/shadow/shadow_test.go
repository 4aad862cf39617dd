package shadow

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// A shadowed is an application's directory, srv/app on a bench, with databases and other files.
type shadowed struct {
	*harness.Bench
	root      string
	databases []string // below root, sorted
	others    []string
}

// newShadowed creates one with several databases, in WAL mode and not, in nested directories, some
// of them with odd names, and with other files. Every user may read it; it belongs to app.
func newShadowed(b *harness.Bench, databases, others int) *shadowed {
	b.Helper()
	s := &shadowed{Bench: b, root: b.Path("srv/app")}
	b.Check(os.MkdirAll(s.root, 0o755))
	for _, mode := range []string{"WAL", "DELETE"} {
		b.NewLedger(mode, mode)
	}
	for i := range databases {
		mode := []string{"WAL", "DELETE"}[i%2]
		odd := []string{"", " with spaces", "\nline", "-x*?[]$", "", "ünï\xff"}[i%6]
		s.databases = append(s.databases, fmt.Sprintf("dir%d/sub%d/%02d%s.db", i%3, i%5, i, odd))
		s.add(s.databases[i], b.Read(mode))
	}
	for i := range others {
		s.others = append(s.others, fmt.Sprintf("dir%d/sub%d/file %d", i%4, i%7, i))
		s.add(s.others[i], fmt.Appendf(nil, "other %d", i))
	}
	slices.Sort(s.databases)
	s.chown(harness.App)
	return s
}

func (s *shadowed) path(name string) string { return filepath.Join(s.root, name) }

func (s *shadowed) add(name string, data []byte) {
	s.Helper()
	s.Check(os.MkdirAll(filepath.Dir(s.path(name)), 0o755))
	s.Check(os.WriteFile(s.path(name), data, 0o640))
}

func (s *shadowed) chown(uid int) {
	s.Helper()
	s.Check(filepath.WalkDir(s.root, func(path string, _ fs.DirEntry, err error) error {
		s.Check(err)
		return os.Lchown(path, uid, uid)
	}))
}

// A plain restore of one snapshot gives an application's whole directory back: databases that are
// whole and consistent, although they were written to, and everything else unchanged.
func TestShadowRestic(t *testing.T) {
	s := newShadowed(harness.NewBench(t), 50, 1000)
	hostile := s.databases[7]
	s.Check(os.Chmod(s.path(hostile), 0o400))
	s.Check(os.Link(s.path(s.databases[8]), s.Bench.Path("linked")))
	s.Check(os.Symlink(filepath.Base(hostile), s.path("link to a database")))
	old := time.Unix(1e9, 0)
	s.Check(os.Chtimes(s.path(hostile), old, old))
	plain := slices.DeleteFunc(slices.Clone(s.databases), func(name string) bool {
		return name == hostile || strings.ContainsAny(name, "?\n") || !utf8.ValidString(name) // which no URI can have
	})
	for _, name := range plain[:10] {
		harness.StartWriter(t, s.path(name), 10*time.Millisecond)
	}
	for _, restic := range []string{"restic", "bin/restic"} {
		t.Run(restic, func(t *testing.T) {
			t.Setenv("RESTIC", harness.Tool(t, restic))
			repository := "repository-" + filepath.Base(filepath.Dir(restic))
			t.Setenv("RESTIC_REPOSITORY", s.Bench.Path(repository))
			s.restic(repository, "init").Exits(0)
			s.restic(repository, "shadow").Exits(0)
			s.restic(repository, "restore").Exits(0)
			s.mustBeRestored(s.Bench.Path("restored-" + repository + s.root))
		})
	}
}

// restic runs one of restic's verbs on a repository, "shadow" being a backup of the root through
// the program.
func (s *shadowed) restic(repository, verb string) harness.Outcome {
	s.Helper()
	return s.Bash("export RESTIC_REPOSITORY=$PWD/" + repository + "\n" + map[string]string{
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
	s.Run("verify", "--json", restored).Exits(0).JSON().MustBe(s, harness.Answer{"database_count": len(s.databases)})
	for _, name := range s.databases {
		live, err := os.Lstat(s.path(name))
		s.Check(err)
		info, err := os.Lstat(filepath.Join(restored, name))
		s.Check(err)
		owner := info.Sys().(*syscall.Stat_t)
		written := time.Since(live.ModTime()) < time.Hour
		if owner.Uid != harness.App || owner.Gid != harness.App || info.Mode() != live.Mode() ||
			written && info.ModTime().After(live.ModTime()) || !written && !info.ModTime().Equal(live.ModTime()) {
			s.Errorf("%q: %s, live %s", name, content(s, filepath.Join(restored, name)), content(s, s.path(name)))
		}
	}
	count := 0
	s.Check(filepath.WalkDir(restored, func(path string, entry fs.DirEntry, err error) error {
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
		s.Commits(filepath.Join(restored, name))
	}
	s.Logf("%d entries restored", count)
}

// content returns what an observer sees of an entry, except its inode.
func content(t testing.TB, path string) string {
	t.Helper()
	line, err := testkit.DescribeFile(path)
	if err != nil {
		t.Error(err)
	}
	fields := strings.Fields(line)
	return strings.Join(slices.DeleteFunc(fields, func(f string) bool { return strings.HasPrefix(f, "inode=") }), " ")
}

// With a kept stage and nothing changed, no database is copied or read again, and restic reads no
// file.
func TestShadowUnchanged(t *testing.T) {
	s := newShadowed(harness.NewBench(t), 12, 30)
	t.Setenv("RESTIC", harness.Tool(t, "bin/restic"))
	s.Bash(`"$RESTIC" init`).Exits(0)
	harness.Settle(t)
	backup := []string{"shadow", "--json", "--stage", s.Bench.Path("stage"), s.root, "--"}
	first := s.Run(append(backup, harness.Tool(t, "bin/restic"), "backup", s.root)...).Exits(0)
	first.JSON().MustBe(t, harness.Answer{"copied": 12, "unchanged": 0})
	second := s.Run(append(backup, harness.Tool(t, "bin/restic"), "backup", s.root)...).Exits(0)
	second.JSON().MustBe(t, harness.Answer{"copied": 0, "unchanged": 12})
	if !regexp.MustCompile(`Files: +0 new, +0 changed, +43 unmodified`).MatchString(second.Stdout) {
		t.Errorf("restic read files:\n%s", second.Stdout)
	}
	s.Bash(`"$RESTIC" diff --metadata $("$RESTIC" snapshots --json | grep -o '"short_id":"[^"]*' | cut -d'"' -f4) >diff
		(! grep srv/app diff)
		"$RESTIC" snapshots --json | grep -o '"paths":[^]]*' | sort -u | wc -l | grep -x 1`).Exits(0)

	s.Wrap = []string{harness.Tool(t, "strace"), "-f", "-y", "-o", s.Bench.Path("trace"), "-e",
		"trace=read,pread64,openat"}
	s.Run(append(backup, "true")...).Exits(0)
	trace := string(s.Bench.Read("trace"))
	read := regexp.MustCompile(`(?m)\bp?read(?:64)?\(\d+<[^>]*\.db>.* = (\d+)$`).FindAllStringSubmatch(trace, -1)
	for _, match := range read {
		if n, _ := strconv.Atoi(match[1]); n > 16 {
			t.Errorf("more than a header was read: %s", match[0])
		}
	}
	if len(read) == 0 || strings.Contains(trace, "image.db") {
		t.Errorf("the trace shows no header read, or a copy")
	}
}

// A held is a run whose CMD waits in the view, and reports what it sees when told to.
type held struct{ *harness.Process }

// hold starts such a run with the flags, and returns when CMD is running.
func (s *shadowed) hold(look string, flags ...string) *held {
	s.Helper()
	script := "echo ready; read -r; cd " + s.root + "; " + look
	cmd := s.Command(slices.Concat([]string{"shadow"}, flags, []string{s.root, "--", "bash", "-euc", script})...)
	h := &held{s.Launch(cmd)}
	harness.Eventually(s, "CMD waits", func() bool { return h.Over() || h.Stdout.Len() > 0 })
	return h
}

// finish has CMD report.
func (h *held) finish() harness.Outcome {
	h.Helper()
	fmt.Fprintln(h.In)
	return h.Wait()
}

// Whatever the application does meanwhile, CMD sees the copies and no -wal, -shm or -journal; the
// host sees none of it.
func TestShadowHolds(t *testing.T) {
	s := newShadowed(harness.NewBench(t), 6, 20)
	name := s.databases[0]
	dir := filepath.Dir(s.path(name))
	writing := s.Bench.Open(s.path(name), "PRAGMA journal_mode=WAL;", "UPDATE a SET v = v - 1 WHERE id = 1;")
	before := testkit.TakePicture(t, s.root)
	h := s.hold("sha256sum --check --quiet .sqlite-checkpoint.sha256 && find . -type f -print0 | LC_ALL=C sort -z")
	before.MustMatch(t, s.root)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	s.Check(err)
	if strings.Contains(string(mounts), s.Bench.Dir) {
		t.Error("the host sees a mount")
	}

	writing.Close()                                       // its -wal goes
	s.Check(os.Rename(s.path("../../WAL"), s.path(name))) // another database takes its place
	s.Bench.Open(s.path(name), "PRAGMA journal_mode=WAL;", "UPDATE a SET v = v - 1 WHERE id = 2;")
	s.Check(os.WriteFile(filepath.Join(dir, "created.db"), s.Bench.Read("DELETE"), 0o600))
	s.Check(os.WriteFile(filepath.Join(dir, "created"), nil, 0o600))
	o := h.finish().Exits(0).Says("created.db: created meanwhile, CMD did not see it")
	want := append(slices.Concat(s.databases, s.others), ".sqlite-checkpoint.sha256")
	for i := range want {
		want[i] = "./" + want[i]
	}
	slices.Sort(want)
	want[0] = "ready\n" + want[0]
	if got := strings.Split(strings.TrimSuffix(o.Stdout, "\x00"), "\x00"); !slices.Equal(got, want) {
		t.Errorf("CMD saw %q\nwant %q", got, want)
	}
}

// A database that appears where nothing was staged is reported, as CMD has seen it unverified; so
// is a file that becomes a database and that CMD could see.
func TestShadowAppeared(t *testing.T) {
	s := newShadowed(harness.NewBench(t), 2, 20)
	s.add("dir0/sub0/empty", nil)
	h := s.hold("cat dir3/sub0/new.db dir0/sub0/empty | wc -c")
	for _, name := range []string{"dir3/sub0/new.db", "dir0/sub0/empty", "dir0/sub0/unseen"} {
		s.add(name, s.Bench.Read("DELETE"))
	}
	h.finish().Exits(4).Says("dir3/sub0/new.db: CMD saw it in use", "dir0/sub0/empty: CMD saw it in use",
		"dir0/sub0/unseen: created meanwhile", "appeared while CMD ran: 2", "run it again")
	s.Run("shadow", s.root, "--", "true").Exits(0)
}

// What CMD creates beside a database goes to the stage, so it is reported as lost. What SQLite
// creates there is not, and elsewhere below DIR a new file stays.
func TestShadowLost(t *testing.T) {
	s := newShadowed(harness.NewBench(t), 2, 10)
	const query = `cd "$0"; for db in dir*/*/*.db; do
			sqlite3 "$db" "PRAGMA journal_mode=WAL; CREATE TABLE new(x)" '.shell kill -9 $PPID' || ls "$db-wal"
		done; `
	s.Run("shadow", s.root, "--", "bash", "-euc", query+`: >dir3/sub0/kept`, s.root).Exits(0)
	s.Run("shadow", s.root, "--", "bash", "-euc", query+`echo 1 >dir0/sub0/out; mkdir new; echo 1 >new/file`, s.root).
		Exits(7).Says("dir0/sub0/out: it is not in the live directory", "new: it is not",
		"what CMD has created beside a database is lost: 2")
	if harness.Size(s.path("dir3/sub0/kept")) < 0 {
		t.Error("a file in a directory without a database is lost")
	}
}

// A corrupt database keeps CMD from being started. With --keep-going it is absent, and still
// determines the exit status.
func TestShadowCorrupt(t *testing.T) {
	s := newShadowed(harness.NewBench(t), 6, 0)
	s.NewCorrupt("corrupt.db")
	bad := s.databases[2]
	s.add(bad, s.Bench.Read("corrupt.db"))
	s.Bench.Open(s.path(s.databases[1]), "BEGIN EXCLUSIVE;")
	o := s.Run("shadow", "--busy-timeout", "100ms", s.root, "--", "touch", s.Bench.Path("started")).Exits(5)
	o.Says("2 of 6 databases could not be copied; CMD was not started", bad[:4], "--keep-going").Silent()
	if harness.Size(s.Bench.Path("started")) >= 0 {
		t.Error("CMD was started")
	}
	for range 2 {
		o = s.Run("shadow", "--busy-timeout", "100ms", "--keep-going", "--stage", s.Bench.Path("stage"),
			s.root, "--", "bash", "-euc", `cd "$0"; sha256sum -c --quiet .sqlite-checkpoint.sha256
				find . -name "*.db*" -printf x`, s.root).Exits(5)
		if o.Stdout != "xxxx" {
			t.Errorf("CMD saw databases: %s, want 4", o.Stdout)
		}
	}
}
