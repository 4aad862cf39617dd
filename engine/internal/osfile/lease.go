package osfile

import (
	"errors"
	"io/fs"
	"os"
)

// ErrOpenElsewhere means that another descriptor of the file is open.
var ErrOpenElsewhere = errors.New("the file is open elsewhere")

// A Lease keeps other processes from opening a file. See fcntl(2), F_SETLEASE: the kernel grants a
// write lease only while no other descriptor of the file is open anywhere.
type Lease struct{ file *os.File }

// Is reports whether info describes the file.
func (l *Lease) Is(info fs.FileInfo) bool {
	ours, err := l.file.Stat()
	return err == nil && os.SameFile(ours, info)
}

// Close releases the lease.
func (l *Lease) Close() error { return l.file.Close() }
