package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/dustin/go-humanize"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// A shardSize is the size of a shard in bytes, 0 if there are to be none.
type shardSize int64

// UnmarshalText is called by kong.
func (s *shardSize) UnmarshalText(b []byte) error {
	n, err := humanize.ParseBytes(string(b))
	if err != nil || n > stream.MaxShardSize || stream.CheckShardSize(int64(n)) != nil {
		return errors.New("must be a power of two from 4KiB to 16MiB, such as 64KiB")
	}
	*s = shardSize(n)
	return nil
}

// A shardsDest is a directory that a stream is written to in shards. A nil one does nothing.
type shardsDest struct {
	destDir
	size   int64
	place  *atomicfile.Place
	shards *stream.Shards
	sink   *stream.ShardSink
}

// shardsJob plans a backup in shards.
func (cmd *backupCmd) shardsJob(con *console) (*job, error) {
	switch {
	case cmd.DB == "" || cmd.Dest == "":
		return nil, usagef("DB and DEST must not be empty")
	case cmd.Dest == "-":
		return nil, usagef("--shards needs a directory as DEST")
	case cmd.Zstd:
		err := errors.New("--shards and --zstd cannot be used together: a compressed stream changes with every page")
		hint := "leave out --zstd: restic, borg and kopia compress by themselves"
		return nil, &fault{kind: kindUsage, err: err, hint: hint}
	case cmd.IfChanged:
		return nil, usagef("--if-changed is for dated copies; --shards never writes what has not changed")
	case cmd.Sidecar != "" || cmd.NoSidecar || cmd.NoTrailer:
		return nil, usagef("shards have a trailer and no sidecar: leave out --sidecar, --no-sidecar and --no-trailer")
	}
	d := &shardsDest{destDir: destDir{dir: cmd.Dest}, size: int64(cmd.Shards)}
	if err := d.make(cmd.DB); err != nil {
		return nil, err
	}
	return &job{plan: plan{streamFlags: &cmd.streamFlags, source: cmd.DB, dest: cmd.Dest}, shards: d, con: con}, nil
}

// open locks the directory.
func (d *shardsDest) open() (err error) {
	if d == nil {
		return nil
	}
	if d.place, err = atomicfile.OpenPlace(d.dir); err != nil {
		return err
	}
	if d.shards, err = stream.OpenShards(d.place); err != nil {
		d.place.Close()
	}
	return err
}

func (d *shardsDest) close() {
	if d != nil {
		d.shards.Close()
		d.place.Close()
	}
}

func (d *shardsDest) removeIfMade() {
	if d != nil {
		d.destDir.removeIfMade()
	}
}

func (d *shardsDest) newSink(ctx context.Context, imageSize int64) (sink, error) {
	var err error
	d.sink, err = d.shards.NewSink(ctx, imageSize, d.size)
	return d.sink, err
}

// isShardsFault reports whether err is one of a directory of shards, for which the table of
// failures has a row.
func isShardsFault(err error) bool {
	known := []error{stream.ErrShardsLocked, stream.ErrNotShards, stream.ErrForeignFile}
	return slices.ContainsFunc(known, func(k error) bool { return errors.Is(err, k) })
}

// shardFields are the counts of a backup in shards. They leave out the trailer, except for its
// bytes.
type shardFields struct {
	ShardBytes   int64 `json:"shard_bytes"` // of each but the last
	Count        int64 `json:"count"`
	Written      int64 `json:"written"`
	Unchanged    int64 `json:"unchanged"`
	Removed      int64 `json:"removed"`
	WrittenBytes int64 `json:"written_bytes"`
}

func (d *shardsDest) fields() *shardFields {
	if d == nil || d.sink == nil {
		return nil
	}
	s := d.sink.Stats()
	return &shardFields{
		ShardBytes: s.Size, Count: s.Count, Written: s.Written, Unchanged: s.Count - s.Written,
		Removed: s.Removed, WrittenBytes: s.WrittenBytes,
	}
}

func (f *shardFields) describe() string {
	return fmt.Sprintf("%s of %s shards written, %s removed",
		humanize.Comma(f.Written), humanize.Comma(f.Count), humanize.Comma(f.Removed))
}

// openShards is openInput for a directory of shards.
func openShards(ctx context.Context, dir string, proof proofFlags) (*input, error) {
	opts, err := proof.options(dir)
	if err != nil {
		return nil, err
	}
	place, err := atomicfile.OpenPlace(dir)
	if err != nil {
		return nil, inputFault(dir, err)
	}
	src, err := stream.NewShardReader(place)
	if err != nil {
		place.Close()
		return nil, shardInputFault(dir, err)
	}
	end := func() error { return errors.Join(src.Close(), place.Close()) }
	return &input{Reader: stream.NewReader(&shardInput{ctx, dir, src}, opts), end: end}, nil
}

// A shardInput reads shards until its context ends.
type shardInput struct {
	ctx context.Context
	dir string
	src *stream.ShardReader
}

func (s *shardInput) Read(p []byte) (int, error) {
	if err := context.Cause(s.ctx); err != nil {
		return 0, err
	}
	n, err := s.src.Read(p)
	if err != nil && err != io.EOF {
		err = shardInputFault(s.dir, err)
	}
	return n, err
}

// shardInputFault says that a directory cannot be read. What is wrong with the stream has a row in
// the table of failures.
func shardInputFault(dir string, err error) error {
	if errors.As(err, new(*fs.PathError)) && !isShardsFault(err) {
		return inputFault(dir, err)
	}
	return fmt.Errorf("read %s: %w", dir, err)
}
