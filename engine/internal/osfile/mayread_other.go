//go:build !linux

package osfile

import (
	"io/fs"
	"os"
)

// ReadsEverything reports whether this process may read the files of every user.
func ReadsEverything() bool { return os.Geteuid() == 0 }

// MayRead is true: links are not followed one by one here.
func MayRead(int, string, fs.FileInfo) bool { return true }
