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
)

// siblings are the files that SQLite would take for a part of a database of that name.
var siblings = []string{"-wal", "-shm", "-journal"}

// InstallOptions of [Install]. The zero value is right.
type InstallOptions struct {
	// Check is the check of the new database before it gets its name.
	Check Check
	// Size is how many bytes are expected, so that missing space is found before the work; 0 if not known.
	Size int64
	// Progress, if not nil, is called from the calling goroutine.
	Progress func(Progress)
}

// Install makes the image that r delivers the new database dst: read to its end, checked, durable and only then
// visible. It never replaces anything: a dst, or a dst-wal, dst-shm or dst-journal, that exists is KindExists. An error of r
// is returned as it is, and then nothing is left behind; r must give io.EOF only if the image is whole.
func Install(ctx context.Context, r io.Reader, dst string, opts InstallOptions) (Info, error) {
	if err := CheckDestination("", dst); err != nil {
		return Info{}, err
	}
	l := landing{where: filepath.Dir(dst), name: dst, check: opts.Check, size: opts.Size, progress: opts.Progress}
	defer l.Close()
	info, err := l.land(ctx, r)
	if err != nil {
		return Info{}, err
	}
	if err := CheckDestination("", dst); err != nil {
		return Info{}, err
	}
	if err := l.dir.Publish(imageName, dst); err != nil {
		return Info{}, tempError("create", dst, err)
	}
	return info, nil
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

// Verify lands the image that r delivers in a private temporary file, checks it as Install would, and removes it. name is
// what errors call it.
func Verify(ctx context.Context, r io.Reader, name string, opts VerifyOptions) (Info, error) {
	l := landing{where: tempDir(opts.TempDir), name: name, check: opts.Check, size: opts.Size, progress: opts.Progress}
	defer l.Close()
	return l.land(ctx, r)
}

// A landing is a private file that an image arrives in.
type landing struct {
	where    string // directory
	name     string // for messages
	check    Check
	size     int64
	progress func(Progress)
	dir      *atomicfile.Dir
}

// land reads r to its end and checks what arrived.
func (l *landing) land(ctx context.Context, r io.Reader) (Info, error) {
	if err := checkSpace(l.where, l.size); err != nil {
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
	path := filepath.Join(l.dir.Path(), imageName)
	info, err := imageInfo(path, l.name, size)
	if err != nil {
		return Info{}, err
	}
	l.tell(Progress{Phase: PhaseCheck, Total: size})
	info.Level, info.Reason, err = checkImage(ctx, path, l.name, l.check)
	return info, err
}

func (l *landing) receive(ctx context.Context, r io.Reader) (int64, error) {
	f, err := l.dir.Create(imageName)
	if err != nil {
		return 0, tempError("create", l.where, err)
	}
	size, err := copyContext(ctx, f, r, func(done int64) { l.tell(Progress{PhaseCopy, done, l.size}) })
	if closeErr := f.Close(); err == nil && closeErr != nil {
		err = tempError("write", l.where, closeErr)
	}
	return size, err
}

func (l *landing) tell(p Progress) {
	if l.progress != nil {
		l.progress(p)
	}
}

// Close removes the private file. It is idempotent.
func (l *landing) Close() error {
	if l.dir == nil {
		return nil
	}
	return l.dir.Close()
}

// imageInfo describes the image at path, which must have the size that its header declares.
func imageInfo(path, name string, size int64) (Info, error) {
	f, err := os.Open(path)
	if err != nil {
		return Info{}, tempError("open", path, err)
	}
	defer f.Close()
	var b [headerSize]byte
	n, err := f.ReadAt(b[:], 0)
	if err != nil && err != io.EOF {
		return Info{}, tempError("read", path, err)
	}
	h, err := parseHeader(b[:n])
	if err != nil {
		return Info{}, &Error{Kind: KindCorrupt, Op: "check", Path: name, Err: err, Findings: []string{err.Error()}}
	}
	info := Info{Size: size, PageSize: h.pageSize, PageCount: int64(h.pageCount), WAL: h.wal()}
	if size != info.PageCount*int64(info.PageSize) {
		problem := fmt.Sprintf("size is not page_count × page_size: %d bytes, not %d × %d", size, h.pageCount, h.pageSize)
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
