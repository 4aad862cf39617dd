//go:build !linux

package osfile

import (
	"errors"
	"os"
)

// Lock fails where there are no open file description locks: POSIX locks would be dropped by any
// close of the file in this process.
func Lock(*os.File, LockKind, int64, int64) error { return errors.ErrUnsupported }

// Unlock does nothing, as Lock always fails.
func Unlock(*os.File, int64, int64) {}

// Conflict reports nothing: F_GETLK would not show locks of this process.
func Conflict(*os.File, LockKind, int64, int64) (pid int, held, known bool) { return 0, false, false }
