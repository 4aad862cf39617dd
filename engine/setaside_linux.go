package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// A lease keeps everybody else from opening a file. See fcntl(2), F_SETLEASE: a write lease is granted only while no other
// descriptor of the file is open anywhere, so unlike a look at the locks it sees idle connections, too.
type lease struct{ file *os.File }

// takeLease fails with KindBusy if anybody has the file open.
func takeLease(path string) (*lease, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, tempError("open", path, err)
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		f.Close()
		why := fmt.Errorf("cannot be sure that nobody has it open: %w", err)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EBUSY) {
			why = errors.New("somebody has it open")
		}
		return nil, &Error{Kind: KindBusy, Op: "set aside", Path: path, Err: why}
	}
	return &lease{f}, nil
}

// Close gives the lease up.
func (l *lease) Close() error { return l.file.Close() }

// setAside gives the database dst, with all that SQLite takes for a part of it, the name aside. It links all the new
// names before it removes the first old one, the database's own: whenever the machine stops, the set under the new name is whole,
// or the one under the old name still is. undo puts everything back.
func setAside(dst, aside string) (moved []string, undo func(), err error) {
	var links [][2]string
	undo = func() {
		for _, names := range links {
			os.Link(names[1], names[0])
			os.Remove(names[1])
		}
	}
	for _, suffix := range append([]string{""}, siblings...) {
		err := os.Link(dst+suffix, aside+suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			undo()
			return nil, nil, tempError("set aside to", aside+suffix, err)
		}
		links = append(links, [2]string{dst + suffix, aside + suffix})
		moved = append(moved, aside+suffix)
	}
	if err := atomicfile.SyncDir(filepath.Dir(aside)); err != nil {
		undo()
		return nil, nil, tempError("set aside to", aside, err)
	}
	for _, names := range links {
		if err := os.Remove(names[0]); err != nil {
			undo()
			return nil, nil, tempError("set aside", names[0], err)
		}
	}
	return moved, undo, nil
}
