package osfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An Identity is the user and the groups that the kernel checks file accesses against.
type Identity struct {
	uid    int
	groups []uint32 // the file's own first
	plain  bool     // without any capability over files
}

// OwnerIdentity returns the identity of the owner of the file path. It is nil if that is the
// caller, or if the caller may not assume it.
func OwnerIdentity(path string, info fs.FileInfo) *Identity {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || stat.Uid == 0 {
		return nil
	}
	who := &Identity{uid: int(stat.Uid), groups: []uint32{stat.Gid}}
	if dir, err := os.Stat(filepath.Dir(path)); err == nil { // the owner may be in its group
		if stat, ok := dir.Sys().(*syscall.Stat_t); ok {
			who.groups = append(who.groups, stat.Gid)
		}
	}
	if who.Do(func() error { return nil }) != nil {
		return nil
	}
	return who
}

var errIdentity = errors.New("cannot assume the identity of the owner")

// Do calls f with the identity, on a thread of its own: files that f creates belong to the owner
// from the start, and f cannot chown, change or write to a file that the owner could not. A nil
// Identity is the caller's.
func (who *Identity) Do(f func() error) (err error) {
	if who == nil {
		return f()
	}
	ownThread(func() {
		if err = who.assume(); err == nil {
			err = f()
		}
	})
	return err
}

// assume changes the identity of this thread for good. It keeps CAP_DAC_READ_SEARCH unless the
// identity is plain, because the owner of a file may not be able to enter its directory.
func (who *Identity) assume() error {
	count, list := uintptr(len(who.groups)), unsafe.Pointer(&who.groups[0])
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, count, uintptr(list), 0); errno != 0 {
		return errno
	}
	unix.SetfsgidRetGid(int(who.groups[0]))
	unix.SetfsuidRetUid(who.uid) // drops every capability over files
	if now, _ := unix.SetfsuidRetUid(-1); now != who.uid {
		return errIdentity
	}
	if who.plain {
		return nil
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return err
	}
	sets[0].Effective |= sets[0].Permitted & (1 << unix.CAP_DAC_READ_SEARCH)
	return unix.Capset(&header, &sets[0])
}
