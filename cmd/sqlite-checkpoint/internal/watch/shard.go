package watch

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// A Shard is one of Count workers that share databases among them. The zero Shard has them all.
type Shard struct{ Index, Count uint64 }

// ParseShard parses I/N, with I from 0 to N-1.
func ParseShard(text string) (Shard, error) {
	index, count, _ := strings.Cut(text, "/")
	i, err := strconv.ParseUint(index, 10, 32)
	n, err2 := strconv.ParseUint(count, 10, 32)
	if err != nil || err2 != nil || i >= n {
		return Shard{}, fmt.Errorf("%q is not I/N, with I from 0 to N-1", text)
	}
	return Shard{i, n}, nil
}

// Has reports whether the database belongs to this worker. Each belongs to exactly one, and when N
// becomes N+1 only those of the new worker move: every worker bids for a path with a hash of both,
// and the highest bid wins.
func (s Shard) Has(path string) bool {
	if s.Count < 2 {
		return true
	}
	sum := sha256.Sum256([]byte(path))
	key := binary.BigEndian.Uint64(sum[:])
	ours := bid(key, s.Index)
	for i := range s.Count {
		if other := bid(key, i); other > ours || other == ours && i < s.Index {
			return false
		}
	}
	return true
}

// bid mixes as splitmix64 does.
func bid(key, worker uint64) uint64 {
	z := key ^ (worker+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
