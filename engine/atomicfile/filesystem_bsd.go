//go:build darwin || freebsd

package atomicfile

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// NetworkFilesystem returns the kind of file system that path is on, by statfs(2), and whether it
// is a network or FUSE one: locks and the shared memory of WAL mode may not reach from one of its
// clients to another.
func NetworkFilesystem(path string) (name string, network bool, err error) {
	var stat unix.Statfs_t
	for {
		if err = unix.Statfs(path, &stat); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return "", false, err
	}
	name = unix.ByteSliceToString(stat.Fstypename[:])
	remote := stat.Flags&unix.MNT_LOCAL == 0
	return name, remote || strings.Contains(name, "fuse"), nil
}
