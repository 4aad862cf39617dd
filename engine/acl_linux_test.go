package engine

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Access control lists: the file's owner and user 1000 may read and write, the file's group may
// not, and the mode is 0660. The second one is a directory's default: user 1000 may do all.
var (
	fileACL = acl(1, 6, 0, 2, 6, 1000, 4, 0, 0, 16, 6, 0, 32, 0, 0)
	dirACL  = acl(1, 7, 0, 2, 7, 1000, 4, 5, 0, 16, 7, 0, 32, 5, 0)
)

// acl encodes entries of tag, permissions and ID: see linux/posix_acl_xattr.h.
func acl(entries ...uint32) []byte {
	list := []byte{2, 0, 0, 0}
	for i := 0; i < len(entries); i += 3 {
		tag, permissions, id := entries[i], entries[i+1], entries[i+2]
		if id == 0 {
			id = 1<<32 - 1
		}
		list = append(list, byte(tag), 0, byte(permissions), 0, byte(id), byte(id>>8), byte(id>>16), byte(id>>24))
	}
	return list
}

// TestInstallACL: a database gets the access control list of the one that is set aside, and none if
// that has none, whatever the default of the directory. Otherwise the mode of the old one would
// grant more than it did.
func TestInstallACL(t *testing.T) {
	const access, byDefault = "system.posix_acl_access", "system.posix_acl_default"
	b := image(t)
	for name, want := range map[string][]byte{"with a list": fileACL, "without": {}} {
		db := newRollback(t)
		if err := os.Chmod(db, 0o660); err != nil {
			t.Fatal(err)
		}
		err := unix.Setxattr(filepath.Dir(db), byDefault, dirACL, 0)
		if errors.Is(err, unix.ENOTSUP) {
			t.Skip("this file system has no access control lists")
		}
		if err == nil && len(want) > 0 {
			err = unix.Setxattr(db, access, want, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = Install(context.Background(), bytes.NewReader(b), db, InstallOptions{SetAside: db + ".old"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadACL(db)
		if info, _ := os.Stat(db); err != nil || !bytes.Equal(got, want) || info.Mode().Perm() != 0o660 {
			t.Errorf("%s: %v, the list is %x, want %x, the mode %v", name, err, got, want, info.Mode())
		}
	}
}
