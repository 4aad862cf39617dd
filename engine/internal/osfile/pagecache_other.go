//go:build !linux

package osfile

import (
	"math"
	"os"
)

// CacheRoom returns no limit: this system does not report one.
func CacheRoom() int64 { return math.MaxInt64 }

// DirtyRoom returns no limit, either.
func DirtyRoom() int64 { return math.MaxInt64 }

// Cached does not know.
func Cached(*os.File, Extent) (size int64, known bool) { return 0, false }

// ReadAhead does nothing.
func ReadAhead(*os.File, Extent) {}

// StartWriteBack does nothing.
func StartWriteBack(*os.File, Extent) error { return nil }

// AwaitWriteBack does nothing.
func AwaitWriteBack(*os.File, Extent) error { return nil }

// Uncached is nil: this system does not tell.
func Uncached(*os.File, int64, int64) []Extent { return nil }

// Drop does nothing.
func Drop(*os.File, Extent) {}
