package stream

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// A ShardReader reads the stream in a directory of shards, for a [Reader] to prove.
type ShardReader struct {
	dir     *atomicfile.Place
	image   int64 // bytes, as the trailer has it
	size    int64 // of a shard
	read    int64 // bytes of the image
	trailer []byte
	sub     shardDir
	file    *os.File // the current shard
}

// NewShardReader opens a directory of shards. It fails with [ErrIncomplete] if it has no trailer.
// Close must be called; dir stays open.
func NewShardReader(dir *atomicfile.Place) (*ShardReader, error) {
	r := &ShardReader{dir: dir, sub: shardDir{parent: dir}}
	if err := r.readTrailer(); err != nil {
		return nil, err
	}
	if err := r.next(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *ShardReader) readTrailer() error {
	sub, err := r.dir.Sub(shardTrailerDir)
	if err == nil {
		defer sub.Close()
		var file *os.File
		if file, _, err = openShard(sub, shardTrailerName); err == nil {
			defer file.Close()
			r.trailer, err = io.ReadAll(io.LimitReader(file, TrailerSize+1))
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return ErrIncomplete
	}
	if err != nil {
		return foreignLink(err)
	}
	t, err := parseTrailer(r.trailer)
	r.image = t.size
	return err
}

// Read reads the next bytes of the stream.
func (r *ShardReader) Read(p []byte) (int, error) {
	for r.file != nil {
		n, err := r.file.Read(p)
		r.read += int64(n)
		if n > 0 || err != io.EOF {
			return n, err
		}
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	if len(r.trailer) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.trailer)
	r.trailer = r.trailer[n:]
	return n, nil
}

// next opens the next shard. After the last one there must be none.
func (r *ShardReader) next() error {
	if r.file != nil {
		r.file.Close()
		r.file = nil
	}
	if r.read >= r.image {
		count := (r.image + r.size - 1) / max(r.size, 1)
		return scanShards(r.dir, count, func(n shardNumber) error {
			return fmt.Errorf("%w: there is a shard %s", ErrTrailingData, n)
		})
	}
	n := shardNumber(r.read / max(r.size, 1))
	sub, err := r.sub.open(n)
	var size int64
	if err == nil && sub == nil {
		err = fs.ErrNotExist
	}
	if err == nil {
		r.file, size, err = openShard(sub, n.file())
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: shard %s is missing", ErrTruncated, n)
	}
	if err != nil {
		return err
	}
	return r.checkSize(n, size)
}

// checkSize fails unless every shard but the last has the size of the first.
func (r *ShardReader) checkSize(n shardNumber, size int64) error {
	if n == 0 {
		r.size = max(size, 1)
	}
	want := min(r.size, r.image-r.read)
	switch {
	case size < want || size == 0:
		return fmt.Errorf("%w: shard %s has %d bytes, not %d", ErrTruncated, n, size, want)
	case size > want:
		return fmt.Errorf("%w: shard %s has %d bytes, not %d", ErrCorrupt, n, size, want)
	}
	return nil
}

// Close closes what is open.
func (r *ShardReader) Close() error {
	r.sub.close()
	if r.file != nil {
		return r.file.Close()
	}
	return nil
}
