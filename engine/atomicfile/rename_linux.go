package atomicfile

import (
	"os"

	"golang.org/x/sys/unix"
)

func renameNoReplaceAt(dir *os.File, name string, to *os.File, dst string) error {
	return unix.Renameat2(int(dir.Fd()), name, int(to.Fd()), dst, unix.RENAME_NOREPLACE)
}
