package engine

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

// InstallOptions are the options of [Install]. The zero value is ready for use.
type InstallOptions struct {
	// Check is the check of the new database before it gets its name.
	Check Check
	// Size is the expected length of the image in bytes, so that a lack of space is found early; 0
	// if not known.
	Size int64
	// Mode is the new file's mode. Zero means 0600, or with SetAside that of the old file, together
	// with its access control list.
	Mode fs.FileMode
	// ACL is the access control list that belongs to Mode, as ReadACL returns it; empty means none,
	// nil the one that any new file gets in its directory.
	ACL []byte
	// Owner is the new file's owner. Nil means the caller, or with SetAside the owner of the old
	// file.
	Owner *Owner
	// SetAside, if not empty, is the name that an existing database dst is renamed to, with its
	// -wal, -shm and -journal, when the new one is ready. Install fails with [KindBusy] if a
	// process has the old one open, and always on systems other than Linux.
	SetAside string
	// Progress, if not nil, is called from the calling goroutine.
	Progress func(Progress)
}

// An Owner is a user and a group, by number.
type Owner struct{ UID, GID int }

// ReadACL returns the POSIX access control list of the file path, empty if there is none. Part of
// it is in the mode: the group's permissions there are the most that the list grants to anyone.
func ReadACL(path string) ([]byte, error) { return osfile.ACL(path) }

// ownerOf returns the owner of the file, nil if unknown.
func ownerOf(info fs.FileInfo) *Owner {
	if uid, gid := osfile.Owner(info); uid >= 0 {
		return &Owner{UID: uid, GID: gid}
	}
	return nil
}

// An Installation is the result of [Install].
type Installation struct {
	Info
	Moved []string // the new names of the files that were set aside
}

// Install creates the database dst from the image that it reads from r. dst appears once r has
// returned io.EOF, the image has passed its check, and it is durable; r must return io.EOF only if
// the image is whole. Install never replaces anything: if dst, or a dst-wal, dst-shm or
// dst-journal, exists, the error is [KindExists]. An error of r is returned unchanged. After an
// error nothing is left behind.
func Install(ctx context.Context, r io.Reader, dst string, opts InstallOptions) (Installation, error) {
	if err := checkPathLength(dst); err != nil {
		return Installation{}, tempError("create", dst, err)
	}
	place, err := openPlaceOf(dst)
	if err != nil {
		return Installation{}, err
	}
	defer place.Close()
	old, err := findOld(place, dst, &opts)
	if err != nil {
		return Installation{}, err
	}
	staged := stagedImage{
		place: place, where: filepath.Dir(dst), name: dst, check: opts.Check, size: opts.Size,
		mode: opts.Mode, owner: opts.Owner, acl: opts.ACL, progress: opts.Progress,
	}
	defer staged.Close()
	info, err := staged.stage(ctx, r)
	if err != nil {
		return Installation{}, err
	}
	if err := syncImage(staged.file, dst); err != nil {
		return Installation{}, err
	}
	if old {
		moved, err := staged.replace(dst, opts.SetAside)
		if err != nil {
			return Installation{}, err
		}
		return Installation{info, moved}, nil
	}
	return Installation{Info: info}, publishImage(staged.dir, dst)
}

// findOld reports whether there is a database to set aside, and gives its owner, mode and access
// control list to opts. Any other file in the way is an error.
func findOld(place *atomicfile.Place, dst string, opts *InstallOptions) (bool, error) {
	if err := checkNoPart(place, dst); err != nil {
		return false, err
	}
	info, err := place.Lstat(atomicfile.Base(dst))
	if opts.SetAside == "" || err != nil || !info.Mode().IsRegular() {
		return false, checkAbsent(place, dst)
	}
	if filepath.Dir(opts.SetAside) != filepath.Dir(dst) {
		return false, &Error{Kind: KindInternal, Op: "set aside to", Path: opts.SetAside,
			Err: errors.New("it is not in the same directory")}
	}
	if err := checkAbsent(place, opts.SetAside); err != nil {
		return false, err
	}
	held, err := takeLease(place, dst)
	if err != nil {
		return false, err
	}
	defer held.Close()
	if opts.Mode == 0 {
		opts.Mode = info.Mode().Perm()
		if opts.ACL, err = held.ACL(); err != nil {
			return false, tempError("read the access control list of", dst, err)
		}
	}
	if opts.Owner == nil {
		opts.Owner = ownerOf(info)
	}
	return true, nil
}
