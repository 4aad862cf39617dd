//go:build unix && !linux

package atomicfile

import (
	"errors"
	"os"
)

func renameNoReplaceAt(*os.File, string, *os.File, string) error { return errors.ErrUnsupported }
