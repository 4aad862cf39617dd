// Package atomicfile makes files that are either complete under their final name or not there at all.
//
// Work goes on in a private directory (mode 0700, random name, locked) beside the final name. Publishing is
// fsync(file), link(2), fsync(directory): an existing name is never replaced, and an interrupted program
// leaves nothing but its private directory, which the next [NewDir] in the same place removes.
//
// The package is concerned with names and durability only; it knows neither SQLite nor streams.
package atomicfile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Prefix begins the name of every private directory, so that a sweep knows its own.
const Prefix = ".sqlite-checkpoint-"

// sweepAge is how old a directory without an owner must be before it is removed: the time between mkdir and
// lock is far below it.
const sweepAge = time.Minute

// A Dir is a private directory that disappears with Close. It is not safe for concurrent use.
type Dir struct {
	path string
	lock *os.File
}

// NewDir removes what killed runs left in parent and makes a new private directory there.
func NewDir(parent string) (*Dir, error) {
	Sweep(parent)
	for {
		var random [12]byte
		rand.Read(random[:])
		path := filepath.Join(parent, Prefix+hex.EncodeToString(random[:]))
		err := os.Mkdir(path, 0o700)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		lock, err := lockDir(path)
		if err != nil {
			os.Remove(path)
			return nil, err
		}
		return &Dir{path: path, lock: lock}, nil
	}
}

// Path is the directory's name, parent included.
func (d *Dir) Path() string { return d.path }

// Create makes a new file of mode 0600 in the directory.
func (d *Dir) Create(name string) (*os.File, error) {
	return os.OpenFile(filepath.Join(d.path, name), os.O_RDWR|os.O_CREATE|os.O_EXCL|noFollow, 0o600)
}

// Publish makes the file name of the directory durable and gives it the name dst, which must be on the same file
// system and must not exist: it fails with [fs.ErrExist] otherwise. Where the directory of dst cannot be made
// durable the new name is taken back.
func (d *Dir) Publish(name, dst string) error {
	src := filepath.Join(d.path, name)
	if err := syncPath(src); err != nil {
		return err
	}
	if err := rename(src, dst); err != nil {
		return err
	}
	if err := SyncDir(filepath.Dir(dst)); err != nil {
		os.Remove(dst)
		return err
	}
	return nil
}

// Close removes the directory and all in it. It is idempotent.
func (d *Dir) Close() error {
	if d.lock == nil {
		return nil
	}
	err := os.RemoveAll(d.path)
	d.lock.Close()
	d.lock = nil
	return err
}

// rename gives src the name dst without ever replacing anything: link(2) where there are hard links, else
// renameat2(2) with RENAME_NOREPLACE.
func rename(src, dst string) error {
	err := os.Link(src, dst)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if renameErr := renameNoReplace(src, dst); renameErr == nil || errors.Is(renameErr, fs.ErrExist) {
		return renameErr
	}
	return &os.LinkError{Op: "publish", Old: src, New: dst, Err: fmt.Errorf("neither link(2) nor a rename that replaces nothing: %w", errors.Unwrap(err))}
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Sweep removes private directories in parent that killed runs left: ours by prefix and user, older than a minute,
// and locked by nobody. It is best effort and says nothing.
func Sweep(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), Prefix) {
			continue
		}
		path := filepath.Join(parent, entry.Name())
		info, err := os.Lstat(path)
		if err != nil || !info.IsDir() || !ownedByUs(info) || time.Since(info.ModTime()) < sweepAge {
			continue
		}
		lock, err := lockDir(path)
		if err != nil {
			continue
		}
		os.RemoveAll(path)
		lock.Close()
	}
}
