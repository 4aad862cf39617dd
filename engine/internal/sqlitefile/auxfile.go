package sqlitefile

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// An AuxFile is a file that SQLite may keep beside a database: -wal, -shm or -journal.
type AuxFile struct {
	Exists bool
	Size   int64    // bytes, -1 if unknown
	File   *os.File // nil if it does not exist or cannot be read
	Err    error    // why it cannot be read
}

// OpenAux opens an auxiliary file for reading. It follows no symbolic link and never blocks on a
// FIFO or a device.
func OpenAux(path string) AuxFile {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return AuxFile{}
	}
	if err != nil {
		return unreadable(path, err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	if err != nil {
		file.Close()
		return AuxFile{Exists: true, Size: -1, Err: err}
	}
	return AuxFile{Exists: true, Size: info.Size(), File: file}
}

// unreadable describes a file that cannot be opened. Its size still matters: SQLite ignores an
// empty WAL.
func unreadable(path string, why error) AuxFile {
	s := AuxFile{Exists: true, Size: -1, Err: why}
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		s.Size = info.Size()
	}
	return s
}

// Close closes the file, if it is open.
func (s AuxFile) Close() {
	if s.File != nil {
		s.File.Close()
	}
}

// NonEmpty reports whether the file exists and has contents, and is true if its size is unknown.
func (s AuxFile) NonEmpty() bool { return s.Exists && s.Size != 0 }
