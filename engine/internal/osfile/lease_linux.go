package osfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// TakeLease takes a lease on f, which it closes if it fails and otherwise with the lease.
func TakeLease(f *os.File) (*Lease, error) {
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK)
	if err == nil {
		return &Lease{f}, nil
	}
	f.Close()
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EBUSY) {
		return nil, ErrOpenElsewhere
	}
	return nil, err
}

// Broken reports whether somebody has tried to open the file since the lease was taken. They wait
// until it is given up.
func (l *Lease) Broken() bool {
	kind, err := unix.FcntlInt(l.file.Fd(), unix.F_GETLEASE, 0)
	return err != nil || kind != unix.F_WRLCK
}
