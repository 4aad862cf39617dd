package engine

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"
)

// A sourceFile is the main file of a database, opened for plain reading before SQLite sees it. It
// stays open until every SQLite connection on the same inode is closed: to close it earlier would
// drop that connection's locks.
type sourceFile struct {
	name   string // as the caller gave it
	path   string // absolute, symbolic links resolved: SQLite finds -wal and -shm beside this one
	dir    *atomicfile.Place
	base   string // the file's name in dir
	file   *os.File
	info   fs.FileInfo
	owner  *osfile.Identity // to be used for the database, nil for the caller's own
	header sqlitefile.Header
	holder lockHolder
	stall  atomicfile.Watch // counts while the source is locked

	abandoned bool // a copy that hangs still uses it: do not wait for that
}

// openSource checks the type of the file before it opens it: a FIFO would block, a device may
// react.
func openSource(op, name string) (*sourceFile, error) {
	info, err := os.Stat(name) // the kernel follows at most 40 links, EvalSymlinks more
	if err != nil {
		return nil, sourceError(op, name, err)
	}
	path, err := Resolve(name)
	if err != nil {
		return nil, sourceError(op, name, err)
	}
	if err := checkFileType(info); err != nil {
		return nil, &Error{Kind: KindNotDatabase, Op: op, Path: name, Err: err}
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrPermission) { // a directory above the current one
		return nil, sourceError(op, path, err)
	}
	opening.Lock()
	defer opening.Unlock()
	if processHolds(info) {
		return nil, &Error{Kind: KindInProcess, Op: op, Path: name,
			Err: errors.New("this process already has the database open, and reading it would drop its locks")}
	}
	s := &sourceFile{name: name, path: path, owner: osfile.OwnerIdentity(path, info)}
	if err := s.open(op, info); err != nil {
		s.Close()
		return nil, sourceError(op, name, err)
	}
	return s, nil
}

// open opens the directory and the file that info describes, and reads its header.
func (s *sourceFile) open(op string, info fs.FileInfo) (err error) {
	var links trail
	if s.dir, s.base, err = atomicfile.Locate(s.name, links.follow); err != nil {
		return err
	}
	s.file, err = s.openFile("")
	if errors.Is(err, fs.ErrPermission) { // root in a container may lack CAP_DAC_READ_SEARCH
		s.owner = nil
		s.file, err = s.openFile("")
	}
	if err != nil {
		return err
	}
	if s.info, err = s.file.Stat(); err != nil || !os.SameFile(info, s.info) {
		return &Error{Kind: KindChanged, Op: op, Path: s.name, Err: errReplaced}
	}
	if err := links.check(op, s); err != nil {
		return err
	}
	return s.readHeader()
}

// openFile opens the main file or an auxiliary one for reading, in the directory that the main file
// was found in. It follows no symbolic link and never blocks on a FIFO.
func (s *sourceFile) openFile(suffix string) (file *os.File, err error) {
	err = s.owner.Do(func() error {
		file, err = s.dir.Open(s.base + suffix)
		return err
	})
	return file, err
}

// connect opens the database with SQLite, which must find it and the files beside it, those with
// these suffixes, in the directory that they were found in.
func (s *sourceFile) connect(beside []string, parameters ...string) (c *conn, err error) {
	files := []fs.FileInfo{s.info}
	for _, suffix := range beside {
		info, err := s.dir.Lstat(s.base + suffix) // to open and close a -shm here would drop SQLite's locks
		if err != nil {
			return nil, errDisturbed
		}
		files = append(files, info)
	}
	err = s.owner.Do(func() error {
		c, err = openVerified(files, errReplaced, func() (*conn, error) { return s.openByName(parameters...) })
		return err
	})
	if errors.Is(err, errReplaced) && !s.replaced() {
		err = errDisturbed
	}
	return c, err
}

func (s *sourceFile) openByName(parameters ...string) (c *conn, err error) {
	err = withoutFIFOs(s.path, errReplaced, func() error {
		c, err = openConn(s.path, parameters...)
		return err
	})
	return c, err
}

var errReplaced = errors.New("the file was replaced meanwhile")

func checkFileType(info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return errors.New("is a directory")
	case !info.Mode().IsRegular():
		return errors.New("not a regular file")
	case info.Size() == 0:
		return errors.New("empty file")
	}
	return nil
}

// readHeader reads the header again; it may have changed since the last time.
func (s *sourceFile) readHeader() error {
	var b [sqlitefile.HeaderSize]byte
	n, err := s.file.ReadAt(b[:], 0)
	if err != nil && err != io.EOF {
		return err
	}
	s.header, err = sqlitefile.ParseHeader(b[:n])
	return err
}

// Close closes the plain descriptor, and with it drops every POSIX lock of the process on the file.
func (s *sourceFile) Close() {
	if s.file != nil {
		s.file.Close()
	}
	if s.dir != nil {
		s.dir.Close()
	}
}

// replaced reports whether the path no longer leads to the file that was opened.
func (s *sourceFile) replaced() bool {
	info, err := os.Stat(s.path)
	return err != nil || !os.SameFile(info, s.info)
}

// processHolds reports whether a descriptor of this process leads to the file.
func processHolds(info fs.FileInfo) bool {
	file, ok := osfile.StateOf(info)
	return ok && osfile.OpenInodes()[file.Inode()] > 0
}
