package atomicfile

import (
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// unsharedAge is how old a private directory must be before it is removed where locks may not be shared: another
// machine, or another mount, may be at work in it.
const unsharedAge = 24 * time.Hour

// Sweep removes the private directories that killed runs left in parent: ours by name and owner, with nothing in
// them but our own files, and locked by nobody. It is best effort and says nothing.
func Sweep(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if isDirName(entry.Name()) && entry.IsDir() {
			sweepDir(filepath.Join(parent, entry.Name()))
		}
	}
}

func isDirName(name string) bool {
	digits, ours := strings.CutPrefix(name, Prefix)
	random, err := hex.DecodeString(digits)
	return ours && err == nil && len(random) == 12
}

func sweepDir(path string) {
	d, err := openDir(path)
	if err != nil {
		return
	}
	defer d.dir.Close()
	if d.abandoned() {
		d.remove()
	}
}

// abandoned reports whether the locked directory is one that a run of the same user left. A directory of that name may
// also be any other of the caller's, renamed by whoever owns the parent.
func (d *Dir) abandoned() bool {
	info, err := d.dir.Stat()
	if err != nil || !ownedByUs(info) {
		return false
	}
	if _, network, err := NetworkFilesystem(d.path); err != nil || !oldEnough(info.ModTime(), network) {
		return false
	}
	names, err := d.dir.Readdirnames(len(contents) + 1)
	if err != nil && err != io.EOF {
		return false
	}
	return !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(contents, name) })
}

// oldEnough reports whether a directory that nobody has locked is abandoned.
func oldEnough(changed time.Time, network bool) bool {
	return !network || time.Since(changed) >= unsharedAge
}
