package engine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An identity is whom the kernel checks file accesses against.
type identity struct {
	uid    int
	groups []uint32 // the file's own first
}

// ownerIdentity is that of the owner of the file path, nil where it is no other than the caller's or cannot be taken on.
func ownerIdentity(path string, info fs.FileInfo) *identity {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || stat.Uid == 0 {
		return nil
	}
	who := &identity{int(stat.Uid), []uint32{stat.Gid}}
	if dir, err := os.Stat(filepath.Dir(path)); err == nil { // whose group may be one that the owner is in
		if stat, ok := dir.Sys().(*syscall.Stat_t); ok {
			who.groups = append(who.groups, stat.Gid)
		}
	}
	if who.do(func() error { return nil }) != nil {
		return nil
	}
	return who
}

var errIdentity = errors.New("the owner's identity cannot be taken on")

// do calls f with the identity, in a thread of its own: a file that f makes belongs to the owner from its first moment,
// and f can give away, change or open for writing none that the owner could not.
func (who *identity) do(f func() error) (err error) {
	if who == nil {
		return f()
	}
	ownThread(func() {
		if err = who.assume(); err == nil {
			err = f()
		}
	})()
	return err
}

// assume changes this thread's identity for good. Reading stays possible for root where it may be, as in a home directory
// that the owner of one file in it cannot enter.
func (who *identity) assume() error {
	count, list := uintptr(len(who.groups)), unsafe.Pointer(&who.groups[0])
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, count, uintptr(list), 0); errno != 0 {
		return errno
	}
	unix.SetfsgidRetGid(int(who.groups[0]))
	unix.SetfsuidRetUid(who.uid) // takes away every capability over files
	if now, _ := unix.SetfsuidRetUid(-1); now != who.uid {
		return errIdentity
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return err
	}
	sets[0].Effective |= sets[0].Permitted & (1 << unix.CAP_DAC_READ_SEARCH)
	return unix.Capset(&header, &sets[0])
}
