package engine

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/batchvfs"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

var errSwapped = errors.New("another file was put in its place")

// openPrivate opens the private file f through SQLite. more are the files beside it that SQLite
// must find.
func openPrivate(f *os.File, more []*os.File, parameters ...string) (*conn, error) {
	var files []fs.FileInfo
	for _, file := range append(more, f) {
		info, err := file.Stat()
		if err != nil {
			return nil, err
		}
		files = append(files, info)
	}
	return openVerified(files, errSwapped, func() (*conn, error) { return openWithTimeout(f, parameters...) })
}

// openPinned has SQLite open the private file through its directory's descriptor. To open a
// database is to recover it, and whoever renames the directory could have SQLite do so to one of
// somebody else.
func openPinned(f *os.File, parameters ...string) (*conn, error) {
	dir, path, err := osfile.Pin(f)
	if errors.Is(err, osfile.ErrMoved) {
		return nil, errSwapped
	}
	if err != nil {
		return nil, err
	}
	c, err := openConn(path, append(parameters, "vfs="+batchvfs.Name())...)
	if err != nil {
		dir.Close()
		return nil, err
	}
	c.dir = dir
	return c, nil
}

// openVerified opens files through SQLite, which knows them by name only: anyone who can write to a
// directory above may have replaced them. Once SQLite has opened them, and before anything is
// written or trusted, this process must have each file open once more than before; otherwise
// openVerified fails with swapped.
func openVerified(files []fs.FileInfo, swapped error, open func() (*conn, error)) (*conn, error) {
	opening.Lock()
	defer opening.Unlock()
	before := osfile.OpenInodes()
	c, err := open()
	if err != nil {
		return nil, err
	}
	after := osfile.OpenInodes()
	for _, info := range files {
		if file, ok := osfile.StateOf(info); ok && after != nil && after[file.Inode()] <= before[file.Inode()] {
			c.close()
			return nil, swapped
		}
	}
	return c, nil
}

// openWithTimeout gives up after a while: SQLite waits forever for the other end of a FIFO.
func openWithTimeout(f *os.File, parameters ...string) (*conn, error) {
	type result struct {
		conn *conn
		err  error
	}
	opened, abandoned := make(chan result), make(chan struct{})
	go func() {
		c, err := openPinned(f, parameters...)
		select {
		case opened <- result{c, err}:
		case <-abandoned:
			if err == nil {
				c.close()
			}
		}
	}()
	select {
	case r := <-opened:
		return r.conn, r.err
	case <-time.After(stalled):
		close(abandoned)
		return nil, errSwapped
	}
}

// Close closes the connection. It waits for openVerified, which counts descriptors.
func (c *conn) Close() error {
	opening.Lock()
	defer opening.Unlock()
	return c.close()
}

func (c *conn) close() error {
	defer c.dir.Close()
	return c.SQLiteConn.Close()
}
