package stream

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// A Level is how hard a [Writer] compresses, in the numbers of the zstd program, 1 to 22. There are five steps, and every
// number means one of them.
type Level int

const (
	LevelFastest Level = 1  // 1
	LevelFast    Level = 2  // 2: every other piece as at 1, every other as at 3
	LevelMiddle  Level = 3  // 3 to 5
	LevelBetter  Level = 6  // 6 to 9
	LevelBest    Level = 10 // 10 to 22

	// LevelDefault is what the zero Level means. On databases whose text zstd -3 about halves, the output is larger
	// than that of zstd -3 by 5 to 7 % at LevelFastest, 3 to 5 % at LevelDefault and 2 to 3 % at LevelMiddle, for about
	// 0.55, 1.0 and 1.4 times its CPU time.
	LevelDefault = LevelFast

	maxLevel Level = 22
)

// ParseLevel understands "fastest", "fast", "default", "better", "best" and the numbers 1 to 22.
func ParseLevel(s string) (Level, error) {
	switch strings.ToLower(s) {
	case "fastest":
		return LevelFastest, nil
	case "fast":
		return LevelFast, nil
	case "default":
		return LevelDefault, nil
	case "better":
		return LevelBetter, nil
	case "best":
		return LevelBest, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || Level(n) > maxLevel {
		return 0, fmt.Errorf("stream: level %q is none of fastest, fast, default, better, best, 1 to %d", s, maxLevel)
	}
	return Level(n), nil
}

// encoders gives the encoder levels that pieces take in turn.
func (l Level) encoders() []zstd.EncoderLevel {
	if l == 0 {
		l = LevelDefault
	}
	if l == LevelFast {
		return []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault}
	}
	return []zstd.EncoderLevel{zstd.EncoderLevelFromZstd(int(l))}
}
