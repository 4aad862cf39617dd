package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

// siblings are the files that SQLite would take for a part of a database of that name.
var siblings = []string{"-wal", "-shm", "-journal"}

// InstallOptions of [Install]. The zero value is right.
type InstallOptions struct {
	// Check is the check of the new database before it gets its name.
	Check Check
	// Size is how many bytes are expected, so that missing space is found before the work; 0 if not known.
	Size int64
	// Mode is the new file's mode. Zero means 0600, or with SetAside that of the old file.
	Mode fs.FileMode
	// Owner is the new file's owner. Nil means the caller, or with SetAside the owner of the old file.
	Owner *Owner
	// SetAside, if not empty, is the name that an existing database dst is moved to, with its -wal, -shm and -journal,
	// when the new one is ready. It fails with KindBusy if anybody has the old one open. Linux only.
	SetAside string
	// Progress, if not nil, is called from the calling goroutine.
	Progress func(Progress)
}

// An Owner is a user and a group, by number.
type Owner struct{ UID, GID int }

// ownerOf is the file's owner, nil where that is not known.
func ownerOf(info fs.FileInfo) *Owner {
	if uid, gid := osfile.Owner(info); uid >= 0 {
		return &Owner{UID: uid, GID: gid}
	}
	return nil
}

// An Installation is what Install has done.
type Installation struct {
	Info
	Moved []string // the new names of the files that were set aside
}

// Install makes the image that r delivers the new database dst: read to its end, checked, durable and only then
// visible. It never replaces anything: a dst, or a dst-wal, dst-shm or dst-journal, that exists is KindExists. An error of r
// is returned as it is, and then nothing is left behind; r must give io.EOF only if the image is whole.
func Install(ctx context.Context, r io.Reader, dst string, opts InstallOptions) (Installation, error) {
	old, err := findOld(dst, &opts)
	if err != nil {
		return Installation{}, err
	}
	l := landing{where: filepath.Dir(dst), name: dst, check: opts.Check, size: opts.Size, mode: opts.Mode, owner: opts.Owner, progress: opts.Progress}
	defer l.Close()
	info, err := l.land(ctx, r)
	if err != nil {
		return Installation{}, err
	}
	// Synced before any name is touched: that may take seconds, in which anything can happen to the names.
	if err := l.file.Sync(); err != nil {
		return Installation{}, tempError("write", dst, err)
	}
	if old {
		moved, err := l.replace(dst, opts.SetAside)
		if err != nil {
			return Installation{}, err
		}
		return Installation{info, moved}, nil
	}
	return Installation{Info: info}, l.publish(dst)
}

// findOld tells whether there is a database to be set aside, whose owner and mode the new one then gets. Anything
// else that is in the way is an error.
func findOld(dst string, opts *InstallOptions) (bool, error) {
	info, err := os.Lstat(dst)
	if opts.SetAside == "" || err != nil || !info.Mode().IsRegular() {
		return false, CheckDestination("", dst)
	}
	if err := CheckDestination("", opts.SetAside); err != nil {
		return false, err
	}
	held, err := takeLease(dst)
	if err != nil {
		return false, err
	}
	held.Close()
	if opts.Mode == 0 {
		opts.Mode = info.Mode().Perm()
	}
	if opts.Owner == nil {
		opts.Owner = ownerOf(info)
	}
	return true, nil
}

func (l *landing) publish(dst string) error {
	if err := CheckDestination("", dst); err != nil {
		return err
	}
	return l.link(dst)
}

func (l *landing) link(dst string) error {
	if err := l.dir.Publish(imageName, dst); err != nil {
		return tempError("create", dst, err)
	}
	return nil
}

// VerifyOptions of [Verify]. The zero value is right.
type VerifyOptions struct {
	// Check is the check of the image.
	Check Check
	// TempDir is where the image is put meanwhile, as in Options.
	TempDir string
	// Size is how many bytes are expected; 0 if not known.
	Size int64
	// Progress, if not nil, is called from the calling goroutine.
	Progress func(Progress)
}

// Verify is Land, and removes the image.
func Verify(ctx context.Context, r io.Reader, name string, opts VerifyOptions) (Info, error) {
	image, err := Land(ctx, r, name, opts)
	if err != nil {
		return Info{}, err
	}
	return image.Info(), image.Close()
}

// A landing is a private file that an image arrives in.
type landing struct {
	where    string // directory
	name     string // for messages
	check    Check
	size     int64
	mode     fs.FileMode // 0 for 0600
	owner    *Owner      // nil for the caller
	progress func(Progress)
	dir      *atomicfile.Dir
	file     *os.File // in dir
}

// land reads r to its end and checks what arrived.
func (l *landing) land(ctx context.Context, r io.Reader) (Info, error) {
	if err := checkSpace(l.where, l.size, spaceMargin); err != nil {
		return Info{}, err
	}
	var err error
	if l.dir, err = atomicfile.NewDir(l.where); err != nil {
		return Info{}, tempError("create a private directory in", l.where, err)
	}
	size, err := l.receive(ctx, r)
	if err != nil {
		return Info{}, err
	}
	info, err := imageInfo(l.file, l.name, size)
	if err != nil {
		return Info{}, err
	}
	l.tell(Progress{Phase: PhaseCheck, Total: size})
	info.Level, info.Reason, err = checkImage(ctx, l.file, l.name, l.check, inForeground)
	return info, err
}

func (l *landing) receive(ctx context.Context, r io.Reader) (int64, error) {
	var err error
	if l.file, err = l.dir.Create(imageName); err != nil {
		return 0, tempError("create", l.where, err)
	}
	if err := l.attribute(); err != nil {
		return 0, tempError("give owner and mode to", l.name, err)
	}
	return copyContext(ctx, l.file, r, func(done int64) { l.tell(Progress{PhaseCopy, done, l.size}) })
}

// attribute sets owner and mode, in this order: a change of owner clears mode bits.
func (l *landing) attribute() error {
	if l.owner != nil {
		if err := l.file.Chown(l.owner.UID, l.owner.GID); err != nil {
			return err
		}
	}
	if l.mode != 0 {
		return l.file.Chmod(l.mode)
	}
	return nil
}

func (l *landing) tell(p Progress) {
	if l.progress != nil {
		l.progress(p)
	}
}

// Close removes the private file. It is idempotent.
func (l *landing) Close() error {
	if l.file != nil {
		l.file.Close()
	}
	if l.dir == nil {
		return nil
	}
	return l.dir.Close()
}

// imageInfo describes the image in the file, which must have the size that its header declares.
func imageInfo(f *os.File, name string, size int64) (Info, error) {
	var b [sqlitefile.HeaderSize]byte
	n, err := f.ReadAt(b[:], 0)
	if err != nil && err != io.EOF {
		return Info{}, tempError("read", f.Name(), err)
	}
	h, err := sqlitefile.ParseHeader(b[:n])
	if err != nil {
		return Info{}, &Error{Kind: KindCorrupt, Op: "check", Path: name, Err: err, Findings: []string{err.Error()}}
	}
	info := Info{Size: size, PageSize: h.PageSize, PageCount: int64(h.PageCount), WAL: h.WAL()}
	if size != info.PageCount*int64(info.PageSize) {
		problem := fmt.Sprintf("size is not page_count × page_size: %d bytes, not %d × %d", size, h.PageCount, h.PageSize)
		return Info{}, &Error{Kind: KindCorrupt, Op: "check", Path: name, Err: errors.New("not a whole database image"), Findings: []string{problem}}
	}
	return info, nil
}

// CheckDestination fails if dst cannot become a new database: with KindExists if it, or a file that SQLite would take
// for a part of it, is there, dangling symbolic links included; with KindSameFile if it is the database source (which
// may be empty) or would be taken for a part of that; with KindTemp if it has no directory.
func CheckDestination(source, dst string) error {
	if source != "" && sameDatabase(source, dst) {
		return &Error{Kind: KindSameFile, Op: "create", Path: dst, Err: errors.New("source and destination are the same database")}
	}
	for _, suffix := range append([]string{""}, siblings...) {
		err := atomicfile.CheckAbsent(dst + suffix)
		if errors.Is(err, fs.ErrExist) {
			return &Error{Kind: KindExists, Op: "create", Path: dst, Err: fmt.Errorf("%s exists", dst+suffix)}
		}
		if err != nil {
			return tempError("create", dst, err)
		}
	}
	info, err := os.Stat(filepath.Dir(dst))
	if err == nil && !info.IsDir() {
		err = errors.New("not a directory")
	}
	if err != nil {
		return tempError("create", dst, fmt.Errorf("directory %s: %w", filepath.Dir(dst), underlying(err)))
	}
	return nil
}

// sameDatabase tells whether both names lead to one database, or dst to a file that belongs to source.
func sameDatabase(source, dst string) bool {
	a, err := os.Stat(source)
	if err != nil {
		return false
	}
	if b, err := os.Stat(dst); err == nil && os.SameFile(a, b) {
		return true
	}
	resolved, err := filepath.EvalSymlinks(source)
	if err != nil {
		return false
	}
	for _, suffix := range siblings {
		if sameName(resolved+suffix, dst) {
			return true
		}
	}
	return false
}

// sameName compares names of files that need not exist, in directories that do.
func sameName(a, b string) bool {
	dirA, errA := os.Stat(filepath.Dir(a))
	dirB, errB := os.Stat(filepath.Dir(b))
	return errA == nil && errB == nil && filepath.Base(a) == filepath.Base(b) && os.SameFile(dirA, dirB)
}
