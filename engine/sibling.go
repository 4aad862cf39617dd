package engine

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// A sibling is a file that SQLite may keep beside a database: -wal, -shm or -journal.
type sibling struct {
	exists bool
	size   int64    // bytes, -1 where it cannot be told
	file   *os.File // nil if it does not exist or cannot be read
	err    error    // why it cannot be read
}

// openSibling opens for plain reading what is there. A FIFO or a device in its place is not waited for.
func openSibling(path string) sibling {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return sibling{}
	}
	if err != nil {
		return unreadableSibling(path, err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	if err != nil {
		file.Close()
		return sibling{exists: true, size: -1, err: err}
	}
	return sibling{exists: true, size: info.Size(), file: file}
}

// unreadableSibling still has a size, by which SQLite takes an empty file for none.
func unreadableSibling(path string, why error) sibling {
	s := sibling{exists: true, size: -1, err: why}
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		s.size = info.Size()
	}
	return s
}

func (s sibling) close() {
	if s.file != nil {
		s.file.Close()
	}
}

// presence is what the sibling counts for where its size decides.
func (s sibling) presence() presence {
	switch {
	case !s.exists:
		return absent
	case s.size == 0:
		return hollow
	}
	return filled
}
