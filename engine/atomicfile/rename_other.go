//go:build unix && !linux

package atomicfile

import (
	"errors"
	"os"
)

func renameNoReplaceAt(*os.File, string, string) error { return errors.ErrUnsupported }
