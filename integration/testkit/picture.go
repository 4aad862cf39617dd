//go:build unix

package testkit

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

// A Picture is a directory as an observer sees it: names, bytes, times, owners, modes, inodes. The
// directory itself is in it under ".", whose modification time reveals even a file that was created
// and removed.
type Picture map[string]string

// TakePicture describes everything below dir without following symbolic links.
func TakePicture(t testing.TB, dir string) Picture {
	t.Helper()
	p := Picture{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		p[name], err = DescribeFile(path)
		return err
	})
	if err != nil {
		t.Fatalf("picture of %s: %v", dir, err)
	}
	return p
}

// DescribeFile describes one entry.
func DescribeFile(path string) (string, error) {
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

// Diff lists the differences to after, a line each.
func (p Picture) Diff(after Picture) string {
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

// MustMatch fails the test if dir has changed.
func (p Picture) MustMatch(t testing.TB, dir string) {
	t.Helper()
	if diff := p.Diff(TakePicture(t, dir)); diff != "" {
		t.Errorf("%s has changed:\n%s", dir, diff)
	}
}
