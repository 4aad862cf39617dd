package stream

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// A Level is a compression level, numbered as in the zstd program, 1 to 22. A [Writer] has four of
// them; every number means the nearest one below.
type Level int

const (
	LevelFastest Level = 1  // 1 and 2
	LevelDefault Level = 3  // 3 to 5, and what the zero Level means
	LevelBetter  Level = 6  // 6 to 9
	LevelBest    Level = 10 // 10 to 22

	maxLevel Level = 22
)

// ParseLevel parses "fastest", "default", "better", "best", in any case, and the numbers 1 to 22.
func ParseLevel(s string) (Level, error) {
	switch strings.ToLower(s) {
	case "fastest":
		return LevelFastest, nil
	case "default":
		return LevelDefault, nil
	case "better":
		return LevelBetter, nil
	case "best":
		return LevelBest, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || Level(n) > maxLevel {
		return 0, fmt.Errorf("stream: level %q: want fastest, default, better, best or 1 to %d", s, maxLevel)
	}
	return Level(n), nil
}

func (l Level) encoder() zstd.EncoderLevel {
	if l == 0 {
		l = LevelDefault
	}
	return zstd.EncoderLevelFromZstd(int(l))
}
