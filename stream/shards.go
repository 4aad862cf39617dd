package stream

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// What can be wrong with a directory of shards.
var (
	// ErrShardsLocked means that another process writes to the directory.
	ErrShardsLocked = errors.New("another backup writes to it")
	// ErrNotShards means that a directory to write shards to has other files.
	ErrNotShards = errors.New("neither empty nor a directory of shards")
	// ErrForeignFile means that a directory of shards has another file under the name of a shard.
	ErrForeignFile = errors.New("not a shard")
	// ErrIncomplete means that a directory of shards has no trailer: a backup is running, or was
	// interrupted.
	ErrIncomplete = errors.New("incomplete: a backup was interrupted, or is still running")
)

// IsShards reports whether a directory has shards, complete or not.
func IsShards(dir string) bool {
	if info, err := os.Lstat(filepath.Join(dir, shardTrailerDir)); err == nil && info.IsDir() {
		return true
	}
	info, err := os.Lstat(filepath.Join(dir, shardNumber(0).dir(), shardNumber(0).file()))
	return err == nil && info.Mode().IsRegular()
}

// Shards is a directory of shards that is locked for writing. FORMAT.md specifies it.
type Shards struct {
	dir  *atomicfile.Place
	lock *os.File
}

// OpenShards locks a directory, which is empty or has shards, and removes what killed runs left
// there. It fails with [ErrShardsLocked], [ErrNotShards] or [ErrForeignFile], and changes nothing
// else. The Shards use dir until Close.
func OpenShards(dir *atomicfile.Place) (*Shards, error) {
	lock, err := dir.Lock()
	if errors.Is(err, atomicfile.ErrLocked) {
		err = fmt.Errorf("%s: %w", dir.Path(), ErrShardsLocked)
	}
	if err != nil {
		return nil, err
	}
	s := &Shards{dir, lock}
	if err := s.check(); err != nil {
		lock.Close()
		return nil, err
	}
	dir.Sweep()
	return s, nil
}

// Close releases the lock.
func (s *Shards) Close() error { return s.lock.Close() }

// check fails if the directory contains anything but shards.
func (s *Shards) check() error {
	if _, err := s.dir.Lstat(shardTrailerDir); err == nil {
		return scanShards(s.dir, math.MaxInt64, nil)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	names, err := s.dir.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if !isIgnored(name) {
			return fmt.Errorf("%s: %w: it has %s", s.dir.Path(), ErrNotShards, name)
		}
	}
	return nil
}

// isIgnored reports whether a name is ignored: the * of a shell leaves out names with a dot, and
// lost+found is the file system's.
func isIgnored(name string) bool { return strings.HasPrefix(name, ".") || name == "lost+found" }

// scanShards looks at all names that the pattern */* finds in dir. It fails with [ErrForeignFile]
// if one cannot be a shard's, and calls surplus for each shard from number count on.
func scanShards(dir *atomicfile.Place, count int64, surplus func(shardNumber) error) error {
	names, err := dir.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := scanName(dir, name, count, surplus); err != nil {
			return err
		}
	}
	return nil
}

func scanName(dir *atomicfile.Place, name string, count int64, surplus func(shardNumber) error) error {
	if isIgnored(name) {
		return nil
	}
	info, err := dir.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	n, ours := parseShardName(name, shardDirDigits)
	switch {
	case ours && info.IsDir():
	case !ours && !info.IsDir() && info.Mode().Type() != fs.ModeSymlink:
		return nil // */* finds nothing in it
	default:
		return fmt.Errorf("%s: %w", filepath.Join(dir.Path(), name), ErrForeignFile)
	}
	sub, err := dir.Sub(name)
	if err != nil {
		return foreignLink(err)
	}
	defer sub.Close()
	if name == shardTrailerDir {
		return scanTrailerDir(sub)
	}
	return scanShardDir(sub, n*shardsPerDir, count, surplus)
}

// foreignLink explains why an entry could not be opened: it is not the file or directory that it
// should be.
func foreignLink(err error) error {
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP) {
		return fmt.Errorf("%w: %w", ErrForeignFile, err)
	}
	return err
}

func scanShardDir(sub *atomicfile.Place, first, count int64, surplus func(shardNumber) error) error {
	names, err := sub.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		i, ours := parseShardName(name, 2)
		n := shardNumber(first + i)
		switch {
		case isIgnored(name):
		case !ours:
			return fmt.Errorf("%s: %w", filepath.Join(sub.Path(), name), ErrForeignFile)
		case int64(n) >= count:
			info, err := sub.Lstat(name)
			if err == nil && !info.Mode().IsRegular() {
				err = fmt.Errorf("%s: %w", filepath.Join(sub.Path(), name), ErrForeignFile)
			}
			if err == nil {
				err = surplus(n)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func scanTrailerDir(sub *atomicfile.Place) error {
	names, err := sub.Names()
	for _, name := range names {
		if err == nil && !isIgnored(name) && name != shardTrailerName {
			err = fmt.Errorf("%s: %w", filepath.Join(sub.Path(), name), ErrForeignFile)
		}
	}
	return err
}

// openShard opens a regular file of a directory of shards. It follows no symbolic link.
func openShard(sub *atomicfile.Place, name string) (*os.File, int64, error) {
	file, err := sub.Open(name)
	if err != nil {
		return nil, 0, foreignLink(err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", file.Name(), ErrForeignFile)
	}
	if err != nil {
		file.Close()
		return nil, 0, err
	}
	return file, info.Size(), nil
}
