//go:build !linux

package osfile

import (
	"errors"
	"os"
)

// TakeLease always fails: only Linux can prove that no process has a file open.
func TakeLease(f *os.File) (*Lease, error) {
	f.Close()
	return nil, errors.ErrUnsupported
}

// Broken is always true.
func (*Lease) Broken() bool { return true }
