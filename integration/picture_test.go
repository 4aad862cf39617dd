package integration

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

// A picture is all that an observer sees of a directory: names, bytes, times, owners, modes, inodes. The directory is
// in it itself: its modification time betrays even a file that came and went.
type picture map[string]string

func takePicture(t testing.TB, dir string) picture {
	t.Helper()
	p := picture{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			p[strings.TrimPrefix(path, dir)], err = portrait(path)
		}
		return err
	})
	if err != nil {
		t.Fatalf("picture of %s: %v", dir, err)
	}
	return p
}

func portrait(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	contents := ""
	switch {
	case info.Mode().IsRegular():
		data, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		contents = fmt.Sprintf("size=%d sha256=%x", len(data), sha256.Sum256(data))
	case info.Mode()&fs.ModeSymlink != 0:
		contents, err = os.Readlink(path)
	}
	stat := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%v uid=%d gid=%d inode=%d mtime=%d %s", info.Mode(), stat.Uid, stat.Gid, stat.Ino, info.ModTime().UnixNano(), contents), err
}

// mustMatch fails the test if dir is no longer as it was.
func (p picture) mustMatch(t testing.TB, dir, after string) {
	t.Helper()
	now := takePicture(t, dir)
	var changes []string
	for name, was := range p {
		if now[name] != was {
			changes = append(changes, fmt.Sprintf("%q was %s", name, was))
		}
	}
	for name, is := range now {
		if p[name] != is {
			changes = append(changes, fmt.Sprintf("%q is %s", name, is))
		}
	}
	if slices.Sort(changes); len(changes) > 0 {
		t.Errorf("%s: changed by %s:\n%s", dir, after, strings.Join(changes, "\n"))
	}
}
