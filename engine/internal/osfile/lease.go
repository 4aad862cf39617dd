package osfile

import (
	"errors"
	"os"
)

// ErrOpenElsewhere means that another descriptor of the file is open.
var ErrOpenElsewhere = errors.New("the file is open elsewhere")

// A Lease keeps everybody else from opening a file. See fcntl(2), F_SETLEASE: the kernel grants a
// write lease only while no other descriptor of the file is open anywhere.
type Lease struct{ file *os.File }

// HasName reports whether path leads to the file.
func (l *Lease) HasName(path string) bool {
	ours, err := l.file.Stat()
	if err != nil {
		return false
	}
	theirs, err := os.Lstat(path)
	return err == nil && os.SameFile(ours, theirs)
}

// Close gives up the lease.
func (l *Lease) Close() error { return l.file.Close() }
