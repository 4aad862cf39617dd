package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// ShardStats are the counts of a [ShardSink].
type ShardStats struct {
	Size         int64 // of every shard but the last
	Count        int64 // of shards, the trailer not counted
	Written      int64 // of them, new or changed
	Removed      int64 // that the stream no longer has
	WrittenBytes int64 // the trailer included
}

// A ShardSink writes a raw stream to a directory of shards. It does not touch shards whose content
// is already right. It writes the others to a private directory, and only Commit moves them into
// place, so that a failure before it changes nothing. It is not safe for concurrent use.
type ShardSink struct {
	ctx     context.Context
	dir     *atomicfile.Place
	left    int64 // bytes of the image still to come
	size    int64 // of a shard
	data    []byte
	old     []byte
	trailer []byte
	sub     shardDir
	stage   *atomicfile.Dir // nil until something differs
	changed []shardNumber
	stats   ShardStats
}

// NewSink returns a sink for a raw stream with an image of imageSize bytes. It fails as
// [CheckShardSize] does. Close must be called, before that of the Shards.
func (s *Shards) NewSink(ctx context.Context, imageSize, shardSize int64) (*ShardSink, error) {
	if err := CheckShardSize(shardSize); err != nil {
		return nil, err
	}
	return &ShardSink{
		ctx: ctx, dir: s.dir, left: imageSize, size: shardSize, sub: shardDir{parent: s.dir},
		stats: ShardStats{Size: shardSize},
	}, nil
}

// Stats returns the counts. They are valid after Commit.
func (s *ShardSink) Stats() ShardStats { return s.stats }

// Write writes the next bytes of the stream. It fails with [ErrImageSize] if they exceed the image
// and a trailer.
func (s *ShardSink) Write(p []byte) (int, error) {
	written := len(p)
	for s.left > 0 && len(p) > 0 {
		missing := min(s.size, s.left+int64(len(s.data))) - int64(len(s.data))
		n := min(missing, int64(len(p)))
		shard := p[:n]
		if len(s.data) > 0 || n < missing {
			s.data = append(s.data, shard...)
			shard = s.data
		}
		s.left, p = s.left-n, p[n:]
		if n < missing {
			break
		}
		if err := s.put(shard); err != nil {
			return 0, err
		}
		s.data = s.data[:0]
	}
	if len(s.trailer)+len(p) > TrailerSize {
		return 0, fmt.Errorf("%w: more than a trailer follows it", ErrImageSize)
	}
	s.trailer = append(s.trailer, p...)
	return written, nil
}

// put takes the next shard.
func (s *ShardSink) put(data []byte) error {
	if err := context.Cause(s.ctx); err != nil {
		return err
	}
	n := shardNumber(s.stats.Count)
	s.stats.Count++
	sub, err := s.sub.open(n)
	if err != nil {
		return err
	}
	if same, err := s.has(sub, n.file(), data); same || err != nil {
		return err
	}
	s.changed = append(s.changed, n)
	s.stats.Written++
	return s.write(atomicfile.PartName(int64(n)), data)
}

// has reports whether the content of a file is data. dir may be nil.
func (s *ShardSink) has(dir *atomicfile.Place, name string, data []byte) (bool, error) {
	if dir == nil {
		return false, nil
	}
	file, size, err := openShard(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	if size != int64(len(data)) {
		return false, nil
	}
	if len(s.old) < len(data) {
		s.old = make([]byte, len(data))
	}
	old := s.old[:len(data)]
	if _, err := io.ReadFull(file, old); err != nil {
		return false, err
	}
	return bytes.Equal(old, data), nil
}

// write writes a file to the private directory.
func (s *ShardSink) write(name string, data []byte) (err error) {
	if s.stage == nil {
		if s.stage, err = s.dir.NewDir(); err != nil {
			return err
		}
	}
	file, err := s.stage.Create(name)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	s.stats.WrittenBytes += int64(len(data))
	return errors.Join(err, file.Close())
}

// Close removes the private directory. It is idempotent.
func (s *ShardSink) Close() error {
	s.sub.close()
	if s.stage == nil {
		return nil
	}
	return s.stage.Close()
}

// A shardDir is the directory of the current shard.
type shardDir struct {
	parent *atomicfile.Place
	name   string
	dir    *atomicfile.Place // nil if there is none
}

// open opens the directory of a shard, nil if there is none. It stays open until another one is
// opened.
func (d *shardDir) open(n shardNumber) (*atomicfile.Place, error) {
	if d.name == n.dir() {
		return d.dir, nil
	}
	d.close()
	dir, err := d.parent.Sub(n.dir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, foreignLink(err)
	}
	d.name, d.dir = n.dir(), dir
	return dir, nil
}

func (d *shardDir) close() {
	if d.dir != nil {
		d.dir.Close()
	}
	d.name, d.dir = "", nil
}
