package atomicfile

import (
	"encoding/hex"
	"errors"
	"strings"
	"time"
)

// unsharedAge is how old a private directory must be before it is removed if locks may not be
// shared: another machine, or another mount, may be using it.
const unsharedAge = 24 * time.Hour

// Sweep removes the private directories that killed runs left in parent: ours by name and owner,
// with nothing in them but our own files, and not locked. It is best effort and reports nothing.
func Sweep(parent string) {
	if p, err := OpenPlace(parent); err == nil {
		p.Sweep()
		p.Close()
	}
}

// Sweep removes the private directories that killed runs left there; see [Sweep].
func (p *Place) Sweep() {
	var found []string
	eachName(p.dir, func(name string) error {
		if isDirName(name) {
			found = append(found, name)
		}
		return nil
	})
	for _, name := range found {
		p.sweepDir(name)
	}
}

func isDirName(name string) bool {
	digits, ours := strings.CutPrefix(name, Prefix)
	random, err := hex.DecodeString(digits)
	return ours && err == nil && len(random) == 12
}

func (p *Place) sweepDir(name string) {
	d, err := openDir(p, name)
	if err != nil {
		return
	}
	defer d.dir.Close()
	if d.abandoned() {
		d.remove()
	}
}

// abandoned reports whether the locked directory is one that a run of the same user left. The owner
// of the parent may have given any directory of that user such a name.
func (d *Dir) abandoned() bool {
	info, err := d.dir.Stat()
	if err != nil || !ownedByUs(info) {
		return false
	}
	if _, network, err := NetworkFilesystem(d.Path()); err != nil || !oldEnough(info.ModTime(), network) {
		return false
	}
	return eachName(d.dir, func(name string) error {
		if !isContent(name) {
			return errForeign
		}
		return nil
	}) == nil
}

var errForeign = errors.New("a file that this program has not made")

// oldEnough reports whether a directory that is not locked counts as abandoned.
func oldEnough(changed time.Time, network bool) bool {
	return !network || time.Since(changed) >= unsharedAge
}
