package engine

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

// takeLease keeps other processes from opening path. It fails with KindBusy if one has it open, or
// if that cannot be known. Unlike a probe of the locks, it finds idle connections, too.
func takeLease(place *atomicfile.Place, path string) (*osfile.Lease, error) {
	busy := func(why error) error { return &Error{Kind: KindBusy, Op: "set aside", Path: path, Err: why} }
	f, err := place.Open(atomicfile.Base(path))
	if err != nil {
		return nil, tempError("open", path, err)
	}
	if name, network, err := networkFilesystem(path); err != nil || network {
		f.Close()
		name = cmp.Or(name, "this file system")
		return nil, busy(fmt.Errorf("on %s a process elsewhere may have it open", name))
	}
	held, err := osfile.TakeLease(f)
	if errors.Is(err, osfile.ErrOpenElsewhere) {
		return nil, busy(errors.New("a process has it open"))
	}
	if err != nil {
		return nil, busy(fmt.Errorf("cannot tell whether a process has it open: %w", err))
	}
	return held, nil
}

// replace sets the database dst aside and gives its name to the new one. If it fails, the old
// database has its name again, or, if that was taken meanwhile, keeps the new one, which the error
// mentions.
func (s *stagedImage) replace(dst, aside string) (moved []string, err error) {
	place := s.place
	held, err := takeLease(place, dst)
	if err != nil {
		return nil, err
	}
	defer held.Close()
	if err := linkDatabase(place, dst, aside); err != nil {
		return nil, tempError("set aside to", aside, err)
	}
	for _, suffix := range databaseSuffixes {
		if _, err := place.Lstat(filepath.Base(aside) + suffix); err == nil {
			moved = append(moved, aside+suffix)
		}
	}
	err = atomicfile.Uninterrupted(func() error { return s.takeOver(dst, aside, held) })
	if err == nil {
		return moved, nil
	}
	if undo := linkDatabase(place, aside, dst); undo != nil {
		known := tempError("set aside", dst, err)
		known.Err = fmt.Errorf("%w; the old database is now %s", known.Err, aside)
		return nil, known
	}
	unlinkDatabase(place, aside, dst)
	return nil, err
}

// takeOver takes the name dst from the old database, which also has the name aside by now, and
// gives it to the new one. A process that opens dst before that waits for the lease, and then gets
// the old file: so the lease is checked last.
func (s *stagedImage) takeOver(dst, aside string, held *osfile.Lease) error {
	place := s.place
	if info, err := place.Lstat(filepath.Base(aside)); err != nil || !held.Is(info) {
		return &Error{Kind: KindChanged, Op: "set aside", Path: dst, Err: errReplaced}
	}
	if err := unlinkDatabase(place, dst, aside); err != nil {
		return tempError("set aside", dst, err)
	}
	if err := checkAbsent(place, dst); err != nil {
		return err
	}
	if held.Broken() {
		return &Error{Kind: KindBusy, Op: "set aside", Path: dst, Err: errors.New("a process has opened it meanwhile")}
	}
	return linkImage(s.dir, dst)
}

// linkDatabase gives all files of the database from a second name, or none of them. Together with
// unlinkDatabase it moves a database: all new names exist before the first old one is removed, so
// whenever the machine stops, the set is complete under one name or the other.
func linkDatabase(place *atomicfile.Place, from, to string) error {
	from, to = filepath.Base(from), filepath.Base(to)
	for i, suffix := range databaseSuffixes {
		err := place.Link(from+suffix, to+suffix)
		linked := errors.Is(err, fs.ErrExist) && sameLinks(place, from+suffix, to+suffix)
		if linked || errors.Is(err, fs.ErrNotExist) && i > 0 {
			continue
		}
		if err != nil {
			unlinkDatabase(place, to, from)
			return err
		}
	}
	if err := place.Sync(); err != nil {
		unlinkDatabase(place, to, from)
		return err
	}
	return nil
}

// unlinkDatabase removes the names of those files that also have the other name: never the last
// one.
func unlinkDatabase(place *atomicfile.Place, name, other string) error {
	name, other = filepath.Base(name), filepath.Base(other)
	for _, suffix := range databaseSuffixes {
		if !sameLinks(place, name+suffix, other+suffix) {
			continue
		}
		if err := place.Remove(name + suffix); err != nil {
			return err
		}
	}
	return nil
}

// sameLinks reports whether both names exist and lead to one file.
func sameLinks(place *atomicfile.Place, a, b string) bool {
	infoA, errA := place.Lstat(a)
	infoB, errB := place.Lstat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}
