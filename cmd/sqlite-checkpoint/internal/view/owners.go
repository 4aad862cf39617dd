package view

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// CheckOwners fails if the view would show a wrong owner of an entry below dir: in a user namespace
// only the caller's IDs are mapped.
func CheckOwners(dir string) error {
	if Privileged() {
		return nil
	}
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil // whatever cannot be looked at cannot be read in the view
		}
		info, err := entry.Info()
		if err != nil {
			return nil
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && (stat.Uid != uid || stat.Gid != gid) {
			return fmt.Errorf("%s belongs to %d:%d, which a user namespace of %d:%d cannot show",
				path, stat.Uid, stat.Gid, uid, gid)
		}
		return nil
	})
}
