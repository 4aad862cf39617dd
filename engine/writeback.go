package engine

import (
	"cmp"
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
)

const (
	// writeBackPart is how much of a file is handed to the disk at once, in bytes.
	writeBackPart = 1 << 20

	// writeBackPause is how long to wait for more of the file.
	writeBackPause = 10 * time.Millisecond
)

// A writeBack writes a large private file to the disk while it grows, with at most two parts in
// flight. The kernel would start when a tenth of its memory is dirty, and then queue so much that
// an application's fsync waits behind it. A nil writeBack does nothing.
type writeBack struct {
	file   *os.File
	size   int64
	cancel context.CancelFunc
	wait   func()
	err    error
}

// startWriteBack returns nil if the file, of size bytes, is so small that the kernel may never have
// to write it, or if it is not on a disk of this machine.
func startWriteBack(file *os.File, size int64) *writeBack {
	if size <= smallImage || size <= osfile.DirtyRoom()/16 || !onDisk(file) {
		return nil
	}
	return keepWriteBack(file, size)
}

func keepWriteBack(file *os.File, size int64) *writeBack {
	ctx, cancel := context.WithCancel(context.Background())
	w := &writeBack{file: file, size: size, cancel: cancel}
	w.wait = goFunc(nil).run(func() { w.run(ctx) })
	return w
}

func (w *writeBack) run(ctx context.Context) {
	part := func(at int64) osfile.Extent { return osfile.Extent{Offset: at, Length: writeBackPart} }
	for at := int64(0); at < w.size && w.grown(ctx, min(at+writeBackPart, w.size)); at += writeBackPart {
		err := cmp.Or(osfile.StartWriteBack(w.file, part(at)),
			osfile.AwaitWriteBack(w.file, part(max(at-writeBackPart, 0))))
		if err != nil {
			if !forbidden(err) {
				w.err = err
			}
			return
		}
	}
}

// forbidden reports whether a sandbox, not the disk, has refused a system call. A disk has many
// ways to fail: a bad block is ENODATA, a lost connection ENOLINK or ETIMEDOUT.
func forbidden(err error) bool {
	return errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EPERM)
}

// grown waits until the file has this size. It reports false if stop was called.
func (w *writeBack) grown(ctx context.Context, size int64) bool {
	for pause := time.Duration(0); ; pause = writeBackPause {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
		if info, err := w.file.Stat(); err != nil || info.Size() >= size {
			return err == nil
		}
	}
}

// stop leaves to the kernel what is not written yet, and fails if a part could not be written:
// fsync(2) may not say so again, and what is read of the file may be wrong. It is idempotent.
func (w *writeBack) stop() error {
	if w == nil {
		return nil
	}
	w.cancel()
	w.wait()
	if w.err != nil {
		return tempError("write", w.file.Name(), w.err)
	}
	return nil
}
