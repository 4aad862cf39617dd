package stream

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// stagedTrailer is the private name of the trailer.
const stagedTrailer = "content"

// Commit moves the shards that differ into place; if none does, it changes nothing. From before the
// first change until the last one is durable the directory has no trailer, so that a reader notices
// an interruption. It fails with [ErrImageSize] unless the whole stream was written.
func (s *ShardSink) Commit() error {
	if s.left > 0 || len(s.trailer) != TrailerSize {
		return fmt.Errorf("%w: the stream has not ended", ErrImageSize)
	}
	surplus, err := s.surplus()
	if err != nil {
		return err
	}
	proven, err := s.hasTrailer()
	if err != nil || proven && len(s.changed) == 0 && len(surplus) == 0 {
		return err
	}
	if err := s.write(stagedTrailer, s.trailer); err != nil {
		return err
	}
	if err := s.stage.Sync(); err != nil {
		return err
	}
	if err := context.Cause(s.ctx); err != nil {
		return err
	}
	trailerDir, err := s.begin(len(s.changed)+len(surplus) > 0)
	if err != nil {
		return err
	}
	defer trailerDir.Close()
	if err := s.place(); err != nil {
		return err
	}
	if err := s.remove(surplus); err != nil {
		return err
	}
	if err := s.stage.Move(stagedTrailer, trailerDir, shardTrailerName); err != nil {
		return err
	}
	return trailerDir.Sync()
}

// surplus returns the shards that an earlier, longer stream left behind.
func (s *ShardSink) surplus() (list []shardNumber, err error) {
	err = scanShards(s.dir, s.stats.Count, func(n shardNumber) error {
		list = append(list, n)
		return nil
	})
	return list, err
}

// hasTrailer reports whether the right trailer is in place, and makes sure that it is durable.
func (s *ShardSink) hasTrailer() (bool, error) {
	dir, err := s.dir.Sub(shardTrailerDir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, foreignLink(err)
	}
	defer dir.Close()
	same, err := s.has(dir, shardTrailerName, s.trailer)
	if same && err == nil {
		err = dir.Sync() // a run may have been killed before it did
	}
	return same, err
}

// begin opens the directory of the trailer and makes those of new shards. If shards will change, it
// then removes the trailer, durably. A disk that is full leaves the old stream whole.
func (s *ShardSink) begin(change bool) (*atomicfile.Place, error) {
	dir, err := s.openTrailerDir()
	if err != nil {
		return nil, err
	}
	if err = s.makeDirs(); err == nil && change {
		if err = dir.Remove(shardTrailerName); err == nil || errors.Is(err, fs.ErrNotExist) {
			err = dir.Sync()
		}
	}
	if err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// openTrailerDir opens the directory of the trailer, or makes it, durably. If it exists without a
// trailer, an earlier run was interrupted: what that run left is made durable first.
func (s *ShardSink) openTrailerDir() (*atomicfile.Place, error) {
	dir, err := s.dir.Sub(shardTrailerDir)
	if errors.Is(err, fs.ErrNotExist) {
		if err = s.dir.Mkdir(shardTrailerDir); err == nil {
			err = s.dir.Sync()
		}
		if err != nil {
			return nil, err
		}
		return s.dir.Sub(shardTrailerDir)
	}
	if err != nil {
		return nil, err
	}
	if _, err = dir.Lstat(shardTrailerName); errors.Is(err, fs.ErrNotExist) {
		err = s.syncAll()
	}
	if err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// syncAll makes the names of all shards durable.
func (s *ShardSink) syncAll() error {
	names, err := s.dir.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, ours := parseShardName(name, shardDirDigits); !ours {
			continue
		}
		sub, err := s.dir.Sub(name)
		if err != nil {
			return err
		}
		err = sub.Sync()
		sub.Close()
		if err != nil {
			return err
		}
	}
	return s.dir.Sync()
}

// makeDirs makes the directories that new shards need, all or none.
func (s *ShardSink) makeDirs() error {
	s.sub.close()
	var made []string
	for _, n := range s.changed {
		sub, err := s.sub.open(n)
		if err == nil && sub == nil {
			s.sub.close()
			if err = s.dir.Mkdir(n.dir()); err == nil {
				made = append(made, n.dir())
			}
		}
		if err != nil {
			for _, name := range made {
				s.dir.Rmdir(name)
			}
			return err
		}
	}
	return nil
}

// place gives the new shards their names, durably.
func (s *ShardSink) place() error {
	s.sub.close()
	for i, n := range s.changed {
		sub, err := s.sub.open(n)
		if err == nil && sub == nil {
			err = fmt.Errorf("%s: %w", n.dir(), fs.ErrNotExist)
		}
		if err == nil {
			err = s.stage.Move(atomicfile.PartName(int64(n)), sub, n.file())
		}
		last := i+1 == len(s.changed) || s.changed[i+1].dir() != n.dir()
		if err == nil && last {
			err = sub.Sync()
		}
		if err != nil {
			return err
		}
	}
	return s.dir.Sync()
}

// remove removes shards, and directories that have become empty.
func (s *ShardSink) remove(surplus []shardNumber) error {
	for i, n := range surplus {
		sub, err := s.sub.open(n)
		if err == nil {
			err = sub.Remove(n.file())
		}
		last := i+1 == len(surplus) || surplus[i+1].dir() != n.dir()
		if err == nil && last {
			err = sub.Sync()
		}
		if err != nil {
			return err
		}
		s.stats.Removed++
		if first := int64(n) / shardsPerDir * shardsPerDir; last && first >= s.stats.Count {
			s.dir.Rmdir(n.dir()) // fails if it is not empty, which is fine
		}
	}
	if len(surplus) == 0 {
		return nil
	}
	return s.dir.Sync()
}
