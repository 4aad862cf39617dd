package stream

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
)

// The sizes that a shard may have are powers of two between these.
const (
	MinShardSize = 4 << 10
	MaxShardSize = 16 << 20
)

// Names in a directory of shards: section 10 of FORMAT.md.
const (
	shardTrailerDir  = "sqlite-checkpoint-trailer"
	shardTrailerName = "trailer"
	shardsPerDir     = 256
	maxShards        = 1 << 32
)

// A shardNumber counts the shards of a stream from 0.
type shardNumber int64

// dir is the name of the directory of a shard.
func (n shardNumber) dir() string { return shardDirName(int64(n) / shardsPerDir) }

// file is the name of a shard in its directory.
func (n shardNumber) file() string { return fmt.Sprintf("%02x", int64(n)%shardsPerDir) }

// String is the path of a shard below the directory of all.
func (n shardNumber) String() string { return n.dir() + "/" + n.file() }

func shardDirName(n int64) string { return fmt.Sprintf("%06x", n) }

// parseShardName is the inverse of shardDirName and of file: digits are 6 or 2.
func parseShardName(name string, digits int) (n int64, ok bool) {
	if len(name) != digits || !isLowerHex(name) {
		return 0, false
	}
	n, err := strconv.ParseInt(name, 16, 64)
	return n, err == nil
}

// CheckShardSize fails if shards cannot have that size.
func CheckShardSize(size int64) error {
	if size < MinShardSize || size > MaxShardSize || bits.OnesCount64(uint64(size)) != 1 {
		return errors.New("the size of a shard is a power of two from 4KiB to 16MiB")
	}
	return nil
}
