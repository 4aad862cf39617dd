package stage

import (
	"bytes"
	"errors"

	"golang.org/x/sys/unix"
)

// copyExtended gives a file the extended attributes of another one, and no others. What only root
// may set, and what the file system does not know, is left out.
func copyExtended(model, path string) error {
	want, err := extended(model)
	if err != nil {
		return err
	}
	have, err := extended(path)
	if err != nil {
		return err
	}
	for name, value := range want {
		if now, ok := have[name]; ok && bytes.Equal(now, value) {
			continue
		}
		if err := unix.Lsetxattr(path, name, value, 0); err != nil && !unsettable(err) {
			return err
		}
	}
	for name := range have {
		if _, ok := want[name]; ok {
			continue
		}
		if err := unix.Lremovexattr(path, name); err != nil && !unsettable(err) {
			return err
		}
	}
	return nil
}

func unsettable(err error) bool {
	for _, expected := range []error{unix.EPERM, unix.EACCES, unix.ENOTSUP, unix.ENODATA} {
		if errors.Is(err, expected) {
			return true
		}
	}
	return false
}

// extended reads the extended attributes of a file. If they grow between the two calls, they are
// read again.
func extended(path string) (map[string][]byte, error) {
	names, err := sized(func(buffer []byte) (int, error) { return unix.Llistxattr(path, buffer) })
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	values := map[string][]byte{}
	for name := range bytes.SplitSeq(bytes.TrimRight(names, "\x00"), []byte{0}) {
		if len(name) == 0 {
			continue
		}
		value, err := sized(func(buffer []byte) (int, error) { return unix.Lgetxattr(path, string(name), buffer) })
		switch {
		case err == nil:
			values[string(name)] = value
		case !unsettable(err):
			return nil, err
		}
	}
	return values, nil
}

// sized calls get with a buffer that is large enough.
func sized(get func([]byte) (int, error)) ([]byte, error) {
	for {
		size, err := get(nil)
		if err != nil || size == 0 {
			return nil, err
		}
		buffer := make([]byte, size)
		n, err := get(buffer)
		if err != unix.ERANGE {
			return buffer[:max(n, 0)], err
		}
	}
}
