package recipes

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// A resticSummary is what restic says about a backup.
type resticSummary struct {
	FilesNew     int64 `json:"files_new"`
	FilesChanged int64 `json:"files_changed"`
	DataAdded    int64 `json:"data_added"`
}

// A shardStore is a database, its shards and a restic repository.
type shardStore struct {
	*harness.Bench
	restic string
}

func newShardStore(t *testing.T) *shardStore {
	t.Helper()
	s := &shardStore{Bench: harness.NewBench(t), restic: harness.Tool(t, "bin/restic")}
	s.SQLite("app.db", "PRAGMA journal_mode=WAL; CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT);",
		"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<20000) "+
			"INSERT INTO t SELECT i, hex(randomblob(200)) FROM c;")
	s.Finish(s.Other(s.restic, "init", "-q")).Exits(0)
	return s
}

// backUp writes the shards, and then makes a snapshot of them.
func (s *shardStore) backUp() (summary resticSummary) {
	s.Helper()
	s.Run("backup", "-q", "--shards", "16KiB", "app.db", "shards").Exits(0)
	out := strings.TrimSpace(s.Finish(s.Other(s.restic, "backup", "--json", "shards")).Exits(0).Stdout)
	s.Check(json.Unmarshal([]byte(out[strings.LastIndexByte(out, '\n')+1:]), &summary))
	return summary
}

// TestShardsInRestic: restic reads and stores only what has changed, and what it restores is whole.
func TestShardsInRestic(t *testing.T) {
	s := newShardStore(t)
	first := s.backUp()
	if first.FilesNew < 500 || first.DataAdded < 8e6 {
		t.Fatalf("the first snapshot: %+v", first)
	}
	before := testkit.TakePicture(t, s.Path("shards"))
	s.mustNotWrite()
	before.MustMatch(t, s.Path("shards"))
	if again := s.backUp(); again != (resticSummary{}) {
		t.Errorf("nothing has changed, and restic says %+v", again)
	}
	s.SQLite("app.db", "UPDATE t SET v='x'||v WHERE id IN (7, 7000, 19000);")
	const changes = 3 * 2 // a row that grows may need another page
	after := s.backUp()
	if after.FilesNew > 1 || after.FilesChanged < 2 || after.FilesChanged > changes+1 || after.DataAdded > 1e6 {
		t.Errorf("three rows have changed, and restic says %+v", after)
	}
	s.Finish(s.Other(s.restic, "restore", "-q", "latest", "--target", "back")).Exits(0)
	s.mustBeWhole("back/shards")
}

// mustNotWrite traces a run without a change: it opens nothing in the directory for writing, and
// makes and removes no name.
func (s *shardStore) mustNotWrite() {
	s.Helper()
	calls := "trace=openat,write,pwrite64,mkdirat,renameat,renameat2,unlinkat,linkat,ftruncate,fchmod," +
		"fchmodat,utimensat"
	args := []string{harness.Tool(s.TB, "strace"), "-f", "-y", "-qq", "-o", s.Path("trace"), "-e", calls}
	args = append(args, s.Command("backup", "-q", "--shards", "16KiB", "app.db", "shards").Args...)
	s.Finish(s.Other(args...)).Exits(0)
	reads := 0
	for line := range strings.Lines(string(s.Read("trace"))) {
		switch {
		case !strings.Contains(line, s.Path("shards")) && !strings.Contains(line, `"shards`):
		case strings.Contains(line, "openat") &&
			!strings.Contains(line, "O_WRONLY") && !strings.Contains(line, "O_RDWR"):
			reads++
		default:
			s.Errorf("it writes: %s", line)
		}
	}
	if reads < 500 {
		s.Errorf("there were %d calls that open a shard", reads)
	}
}

// mustBeWhole reads shards in all ways, as a user who may only read them.
func (s *shardStore) mustBeWhole(dir string) {
	s.Helper()
	s.Finish(s.Other("chmod", "-R", "a+rX,a-w", filepath.Dir(s.Path(dir)))).Exits(0)
	nobody := *s.Bench
	nobody.Wrap = []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}
	nobody.Run("verify", "-q", "--check", "full", dir).Exits(0)
	nobody.Run("verify", "-q", "--against", "app.db", dir).Exits(0)
	s.Bash(fmt.Sprintf("cat %s/*/* | sqlite-checkpoint restore -q - cat.db", dir)).Exits(0)
	s.Bash(fmt.Sprintf(`printf '%%s\0' %s/*/* | xargs -0 cat | sqlite-checkpoint verify -q -`, dir)).Exits(0)
	s.Run("restore", "-q", dir, "restored.db").Exits(0)
	const all = "SELECT count(*), sum(length(v)), max(v) FROM t;"
	want := s.SQLite("app.db", all)
	for _, name := range []string{"cat.db", "restored.db"} {
		if got := s.SQLite(name, all); got != want {
			s.Errorf("%s has %s, want %s", name, got, want)
		}
	}
}

// TestShardsByRsync: rsync sends what has changed, and removes what no longer exists. Here several
// runs are in the same second, which it tells apart only if asked to.
func TestShardsByRsync(t *testing.T) {
	harness.Tool(t, "rsync")
	s := newShardStore(t)
	sync := func() (names []string) {
		s.Run("backup", "-q", "--shards", "16KiB", "app.db", "shards").Exits(0)
		rsync := s.Other("rsync", "-a", "--delete", "--modify-window=-1", "--out-format=%n", "shards/", "mirror/")
		out := s.Finish(rsync).Exits(0).Stdout
		s.Run("verify", "-q", "mirror").Exits(0)
		return slices.DeleteFunc(strings.Fields(out), func(name string) bool { return strings.HasSuffix(name, "/") })
	}
	if names := sync(); len(names) < 500 {
		t.Errorf("first it sends %d files", len(names))
	}
	if names := sync(); len(names) != 0 {
		t.Errorf("nothing has changed, and it sends %q", names)
	}
	s.SQLite("app.db", "UPDATE t SET v='x'||v WHERE id=7000;")
	if names := sync(); len(names) < 2 || len(names) > 4 {
		t.Errorf("a row has changed, and it sends %q", names)
	}
	s.SQLite("app.db", "DELETE FROM t WHERE id>100; VACUUM;")
	sync()
	if left, err := os.ReadDir(s.Path("mirror")); err != nil || len(left) != 2 {
		t.Errorf("of a small database there are %v, %v", left, err)
	}
}
