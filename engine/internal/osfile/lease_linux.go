package osfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// TakeLease takes a lease on f. The lease owns f, which is closed if TakeLease fails.
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

// Broken reports whether another process has tried to open the file since the lease was taken. It
// waits until the lease is released.
func (l *Lease) Broken() bool {
	kind, err := unix.FcntlInt(l.file.Fd(), unix.F_GETLEASE, 0)
	return err != nil || kind != unix.F_WRLCK
}
