package atomicfile

import (
	"os"

	"golang.org/x/sys/unix"
)

func renameNoReplaceAt(dir *os.File, name, dst string) error {
	return unix.Renameat2(int(dir.Fd()), name, unix.AT_FDCWD, dst, unix.RENAME_NOREPLACE)
}
