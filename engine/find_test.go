package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"
)

// header512 is the smallest file that counts as a database.
var header512 = append([]byte(sqlitefile.HeaderMagic),
	make([]byte, sqlitefile.MinPageSize-len(sqlitefile.HeaderMagic))...)

// plant makes files below a new directory. A name that ends in a slash is a directory, "a -> b" a
// symbolic link.
func plant(t testing.TB, content []byte, names ...string) (root string) {
	t.Helper()
	root = t.TempDir()
	for _, name := range names {
		link, target, isLink := strings.Cut(name, " -> ")
		path := filepath.Join(root, link)
		dir := filepath.Dir(path)
		if strings.HasSuffix(name, "/") {
			dir = path
		}
		err := os.MkdirAll(dir, 0o700)
		switch {
		case err != nil || dir == path:
		case isLink:
			err = os.Symlink(target, path)
		default:
			err = os.WriteFile(path, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// find returns the paths below root, and of what was skipped the reasons.
func find(t testing.TB, root string, exclude ...string) (databases []string, skipped map[string]SkipReason) {
	t.Helper()
	found, err := FindDatabases(context.Background(), root, FindOptions{Exclude: exclude})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found.Databases {
		databases = append(databases, strings.TrimPrefix(path, root+"/"))
	}
	skipped = map[string]SkipReason{}
	for _, s := range found.Skipped {
		if (s.Err != nil) != (s.Reason == SkipUnreadable) {
			t.Errorf("%s: %s, error %v", s.Path, s.Reason, s.Err)
		}
		skipped[strings.TrimPrefix(s.Path, root+"/")] = s.Reason
	}
	return databases, skipped
}

func mustFind(t testing.TB, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

func TestFindDatabases(t *testing.T) {
	root := plant(t, header512, "b.db", "a/no-suffix", "a/new\nline", "a/\xff", "z/y/x.sqlite3-wal",
		".sqlite-checkpoint-0123/copy.db", ".sqlite-checkpoint.db", "empty/", "file -> b.db", "dir -> a",
		"gone -> nowhere")
	others := map[string][]byte{"short": header512[:511], "empty.db": nil, "text": make([]byte, 4096)}
	for name, content := range others {
		if err := os.WriteFile(filepath.Join(root, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(root, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(root, "b.db"), filepath.Join(root, "hard.db")); err != nil {
		t.Fatal(err)
	}
	databases, skipped := find(t, root)
	mustFind(t, databases, []string{
		".sqlite-checkpoint.db", "a/new\nline", "a/no-suffix", "a/\xff", "b.db", "hard.db", "z/y/x.sqlite3-wal",
	})
	mustFind(t, skipped, map[string]SkipReason{
		".sqlite-checkpoint-0123": SkipPrivate, "file": SkipSymlink, "dir": SkipSymlink, "gone": SkipSymlink,
	})
}

func TestFindExclude(t *testing.T) {
	root := plant(t, header512, "a.db", "cache/a.db", "data/cache/b.db", "data/c.db", "data/d.old")
	tests := []struct {
		pattern string
		want    []string
	}{
		{"none", []string{"a.db", "cache/a.db", "data/c.db", "data/cache/b.db", "data/d.old"}},
		{"cache", []string{"a.db", "data/c.db", "data/d.old"}},
		{"data/*.db", []string{"a.db", "cache/a.db", "data/cache/b.db", "data/d.old"}},
		{"data/", []string{"a.db", "cache/a.db"}},
		{"data/cache", []string{"a.db", "cache/a.db", "data/c.db", "data/d.old"}},
		{root + "/cache", []string{"a.db", "data/c.db", "data/cache/b.db", "data/d.old"}},
		{"?.db", []string{"data/d.old"}},
	}
	t.Chdir(root)
	for _, test := range tests {
		for _, from := range []string{root, "."} {
			databases, skipped := find(t, from, test.pattern)
			mustFind(t, databases, test.want)
			if test.pattern != "none" && len(skipped) == 0 {
				t.Errorf("%s: what was excluded is not reported", test.pattern)
			}
		}
	}
	_, err := FindDatabases(context.Background(), root, FindOptions{Exclude: []string{"a["}})
	if !errors.Is(err, KindPattern) {
		t.Errorf("error %v", err)
	}
}

func TestFindRoot(t *testing.T) {
	root := plant(t, []byte("text"), "file", "link -> .")
	found, err := FindDatabases(context.Background(), root+"/file", FindOptions{})
	if err != nil || len(found.Databases) != 1 || found.Databases[0] != root+"/file" {
		t.Errorf("a file as root: %v, error %v", found, err)
	}
	if _, err := FindDatabases(context.Background(), root+"/link", FindOptions{}); err != nil {
		t.Errorf("a symbolic link as root: %v", err)
	}
	if _, err := FindDatabases(context.Background(), root+"/none", FindOptions{}); !errors.Is(err, KindMissing) {
		t.Errorf("a missing root: %v", err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("stop")
	cancel(why)
	if _, err := FindDatabases(ctx, root, FindOptions{}); !errors.Is(err, why) {
		t.Errorf("canceled: %v", err)
	}
}

func BenchmarkFindDatabases(b *testing.B) {
	root := b.TempDir()
	for i := range 100_000 {
		path := filepath.Join(root, fmt.Sprint(i%317), fmt.Sprint(i))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, header512, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if databases, _ := find(b, root); len(databases) != 100_000 {
			b.Fatal(len(databases))
		}
	}
}
