package engine

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A picture is a directory as an observer sees it: names, bytes, times, owners, modes, inodes. The directory itself is
// in it under ".", whose modification time betrays even a file that came and went.
type picture map[string]string

// takePicture describes everything below dir without following symbolic links.
func takePicture(t testing.TB, dir string) picture {
	t.Helper()
	p := picture{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		p[name], err = portrait(path)
		return err
	})
	if err != nil {
		t.Fatalf("picture of %s: %v", dir, err)
	}
	return p
}

// portrait is one line about one entry.
func portrait(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	stat := info.Sys().(*syscall.Stat_t)
	contents := ""
	switch {
	case info.Mode().IsRegular():
		data, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		contents = fmt.Sprintf("size=%d sha256=%x", len(data), sha256.Sum256(data))
	case info.Mode()&fs.ModeSymlink != 0:
		if contents, err = os.Readlink(path); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%v uid=%d gid=%d inode=%d mtime=%d %s",
		info.Mode(), stat.Uid, stat.Gid, stat.Ino, info.ModTime().UnixNano(), contents), nil
}

// diff lists what is different in after, one line each, "" if nothing is.
func (p picture) diff(after picture) string {
	var lines []string
	for name, was := range p {
		if is, ok := after[name]; !ok {
			lines = append(lines, "- "+name+": "+was)
		} else if is != was {
			lines = append(lines, "- "+name+": "+was, "+ "+name+": "+is)
		}
	}
	for name, is := range after {
		if _, ok := p[name]; !ok {
			lines = append(lines, "+ "+name+": "+is)
		}
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[2:], b[2:]) })
	return strings.Join(lines, "\n")
}

// mustMatch fails the test if dir no longer is as it was.
func (p picture) mustMatch(t testing.TB, dir string) {
	t.Helper()
	if diff := p.diff(takePicture(t, dir)); diff != "" {
		t.Errorf("%s has changed:\n%s", dir, diff)
	}
}

func TestPicture(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := takePicture(t, dir)
	before.mustMatch(t, dir)
	changes := []struct {
		name string
		do   func() error
	}{
		{"bytes with the old time", func() error {
			info, err := os.Stat(file)
			if err != nil {
				return err
			}
			if err := os.WriteFile(file, []byte("two"), 0o600); err != nil {
				return err
			}
			return os.Chtimes(file, info.ModTime(), info.ModTime())
		}},
		{"mode", func() error { return os.Chmod(file, 0o640) }},
		{"a file that came and went", func() error {
			if err := os.WriteFile(file+"-shm", nil, 0o600); err != nil {
				return err
			}
			return os.Remove(file + "-shm")
		}},
		{"a new name", func() error { return os.Symlink("file", filepath.Join(dir, "link")) }},
	}
	for _, change := range changes {
		if err := change.do(); err != nil {
			t.Fatal(err)
		}
		after := takePicture(t, dir)
		if before.diff(after) == "" {
			t.Errorf("not seen: %s", change.name)
		}
		before = after
	}
}
