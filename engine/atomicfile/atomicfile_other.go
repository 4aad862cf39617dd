//go:build !unix

package atomicfile

import "os"

const noFollow = 0

func lockDir(path string) (*os.File, error) { return os.Open(path) }

// ownedByUs is false where locks and owners cannot be asked: nothing is swept there.
func ownedByUs(os.FileInfo) bool { return false }

// SyncDir does nothing where directories cannot be synced.
func SyncDir(string) error { return nil }
