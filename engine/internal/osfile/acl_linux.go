package osfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// aclName is the extended attribute that has a file's access control list, see acl(5). A file has
// none if its mode says everything.
const aclName = "system.posix_acl_access"

// ACL returns the access control list of the file path, empty if there is none.
func ACL(path string) ([]byte, error) {
	return readACL(func(buffer []byte) (int, error) { return unix.Getxattr(path, aclName, buffer) })
}

// ACL returns the access control list of the file, empty if there is none.
func (l *Lease) ACL() ([]byte, error) {
	return readACL(func(buffer []byte) (int, error) { return unix.Fgetxattr(int(l.file.Fd()), aclName, buffer) })
}

func readACL(get func([]byte) (int, error)) ([]byte, error) {
	const mostOfAnyAttribute = 64 << 10
	list := make([]byte, mostOfAnyAttribute)
	n, err := get(list)
	if noACL(err) {
		return []byte{}, nil
	}
	return list[:max(n, 0)], err
}

// SetACL gives the file an access control list, or takes away the one that it has.
func SetACL(f *os.File, list []byte) error {
	if len(list) > 0 {
		return unix.Fsetxattr(int(f.Fd()), aclName, list, 0)
	}
	if err := unix.Fremovexattr(int(f.Fd()), aclName); !noACL(err) {
		return err
	}
	return nil
}

func noACL(err error) bool { return errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) }
