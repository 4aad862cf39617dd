package stream

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// The sizes that a shard may have are powers of two between these.
const (
	MinShardSize = 4 << 10
	MaxShardSize = 16 << 20
)

// Names in a directory of shards: section 10 of FORMAT.md. There are more than the largest database
// of SQLite needs.
const (
	shardTrailerDir  = "999999999"
	shardTrailerName = "99"
	shardDirDigits   = 9
	shardsPerDir     = 100
)

// A shardNumber counts the shards of a stream from 0.
type shardNumber int64

// dir is the name of the directory of a shard.
func (n shardNumber) dir() string { return shardDirName(int64(n) / shardsPerDir) }

// file is the name of a shard in its directory.
func (n shardNumber) file() string { return fmt.Sprintf("%02d", int64(n)%shardsPerDir) }

// String is the path of a shard below the directory of all.
func (n shardNumber) String() string { return n.dir() + "/" + n.file() }

func shardDirName(n int64) string { return fmt.Sprintf("%09d", n) }

// parseShardName is the inverse of shardDirName and of file, whose names have that many digits.
func parseShardName(name string, digits int) (n int64, ok bool) {
	if len(name) != digits || strings.Trim(name, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(name, 10, 64)
	return n, err == nil
}

// CheckShardSize fails if shards cannot have that size.
func CheckShardSize(size int64) error {
	if size < MinShardSize || size > MaxShardSize || bits.OnesCount64(uint64(size)) != 1 {
		return errors.New("the size of a shard is a power of two from 4KiB to 16MiB")
	}
	return nil
}
