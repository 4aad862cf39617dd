package engine

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

// takeLease keeps everybody else from opening path, and fails with KindBusy if anybody has it open,
// or where that cannot be told. Unlike a look at the locks, it finds idle connections, too.
func takeLease(path string) (*osfile.Lease, error) {
	busy := func(why error) error { return &Error{Kind: KindBusy, Op: "set aside", Path: path, Err: why} }
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, tempError("open", path, err)
	}
	if name, network, err := networkFilesystem(path); err != nil || network {
		f.Close()
		name = cmp.Or(name, "this file system")
		return nil, busy(fmt.Errorf("cannot tell on %s whether somebody has it open elsewhere", name))
	}
	held, err := osfile.TakeLease(f)
	if errors.Is(err, osfile.ErrOpenElsewhere) {
		return nil, busy(errors.New("somebody has it open"))
	}
	if err != nil {
		return nil, busy(fmt.Errorf("cannot tell whether somebody has it open: %w", err))
	}
	return held, nil
}

// replace sets the database dst aside and gives its name to the new one. If it fails, the old
// database has its name again, or, if that was taken meanwhile, keeps the new one, which the error
// mentions.
func (l *stagedImage) replace(dst, aside string) (moved []string, err error) {
	held, err := takeLease(dst)
	if err != nil {
		return nil, err
	}
	defer held.Close()
	if err := linkDatabase(dst, aside); err != nil {
		return nil, tempError("set aside to", aside, err)
	}
	for _, suffix := range databaseSuffixes {
		if _, err := os.Lstat(aside + suffix); err == nil {
			moved = append(moved, aside+suffix)
		}
	}
	err = atomicfile.Uninterrupted(func() error { return l.takeOver(dst, aside, held) })
	if err == nil {
		return moved, nil
	}
	if undo := linkDatabase(aside, dst); undo != nil {
		known := tempError("set aside", dst, err)
		known.Err = fmt.Errorf("%w; the old database is now %s", known.Err, aside)
		return nil, known
	}
	unlinkDatabase(aside, dst)
	return nil, err
}

// takeOver takes the name dst from the old database, which is aside by now, too, and gives it to
// the new one. While the old one has the name, whoever opens it waits for the lease and is then
// given the old file: so the last look at the lease comes after.
func (l *stagedImage) takeOver(dst, aside string, held *osfile.Lease) error {
	if !held.HasName(aside) {
		return &Error{Kind: KindChanged, Op: "set aside", Path: dst, Err: errReplaced}
	}
	if err := unlinkDatabase(dst, aside); err != nil {
		return tempError("set aside", dst, err)
	}
	if err := CheckDestination("", dst); err != nil {
		return err
	}
	if held.Broken() {
		return &Error{Kind: KindBusy, Op: "set aside", Path: dst, Err: errors.New("somebody has opened it meanwhile")}
	}
	return l.link(dst)
}

// linkDatabase gives all files of the database from a second name, or none of them. Together with
// unlinkDatabase it moves a database: all new names are there before the first old one goes, so
// whenever the machine stops, the set is whole under one name or the other.
func linkDatabase(from, to string) error {
	for i, suffix := range databaseSuffixes {
		err := os.Link(from+suffix, to+suffix)
		if errors.Is(err, fs.ErrExist) && sameLinks(from+suffix, to+suffix) || errors.Is(err, fs.ErrNotExist) && i > 0 {
			continue
		}
		if err != nil {
			unlinkDatabase(to, from)
			return err
		}
	}
	if err := atomicfile.SyncDir(filepath.Dir(to)); err != nil {
		unlinkDatabase(to, from)
		return err
	}
	return nil
}

// unlinkDatabase removes the names of the database whose files have a second one: never the last.
func unlinkDatabase(name, other string) error {
	for _, suffix := range databaseSuffixes {
		if !sameLinks(name+suffix, other+suffix) {
			continue
		}
		if err := os.Remove(name + suffix); err != nil {
			return err
		}
	}
	return nil
}

// sameLinks reports whether both names are there and are one file's.
func sameLinks(a, b string) bool {
	infoA, errA := os.Lstat(a)
	infoB, errB := os.Lstat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}
