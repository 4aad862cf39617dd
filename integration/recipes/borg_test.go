package recipes

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// Chunks of a fixed size suit a file whose pages stay where they are: the second backup of a
// database that has changed a little adds a fraction of what it adds with borg's default.
func TestBorgGrowth(t *testing.T) {
	s := newStore(t, 150_000, "borg") // some 50 MB
	borgStore(s)
	script, err := os.ReadFile("../examples/borg.sh")
	s.Check(err)
	ours := regexp.MustCompile(`(?m)^chunker=(\S+)$`).FindSubmatch(script)
	if ours == nil {
		t.Fatal("borg.sh does not say what its chunks are")
	}
	chunkers := map[string]string{"default": "default", "ours": string(ours[1])}
	first, second := map[string]int64{}, map[string]int64{}
	backup := func(archive string, sizes map[string]int64) {
		for name, chunker := range chunkers {
			repository := s.Path("repository-" + name)
			if archive == "1" {
				s.do("borg", "init", "--encryption", "none", repository)
			}
			s.do("borg", "create", "--chunker-params", chunker, "--content-from-command", repository+"::"+archive, "--",
				"sqlite-checkpoint", "backup", "app.db", "-")
			sizes[name] = treeSize(s, repository)
		}
	}
	backup("1", first)
	s.SQLite("app.db", "UPDATE t SET x = randomblob(300) WHERE id % 1500 = 0;",
		"INSERT INTO t(x) SELECT randomblob(300) FROM generate_series(1, 1500);")
	backup("2", second)
	theirs, our := second["default"]-first["default"], second["ours"]-first["ours"]
	t.Logf("a database of %d bytes; the second backup adds %d bytes with the default chunker and %d with %s: %.1f "+
		"times less",
		harness.Size(s.Path("app.db")), theirs, our, chunkers["ours"], float64(theirs)/float64(our))
	if our*2 > theirs {
		t.Errorf("%s adds %d bytes, the default chunker %d", chunkers["ours"], our, theirs)
	}
}

// treeSize returns the size of all files under root.
func treeSize(s *store, root string) (total int64) {
	s.Helper()
	s.Check(filepath.Walk(root, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
		return err
	}))
	return total
}
