package osfile

import (
	"cmp"
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Uncached lists the parts of a range of f that are not in the page cache. It is nil if the kernel
// does not tell, as for a file that the caller could not write to. Nothing is read, as the mapping
// is never accessed. See mincore(2).
func Uncached(f *os.File, offset, length int64) []Extent {
	page := int64(os.Getpagesize())
	length += offset % page
	offset -= offset % page
	var mapping []byte
	err := control(f, func(fd int) (err error) {
		mapping, err = unix.Mmap(fd, offset, int(length), unix.PROT_NONE, unix.MAP_SHARED)
		return err
	})
	if err != nil {
		return nil
	}
	defer unix.Munmap(mapping)
	cached := make([]byte, (length+page-1)/page)
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&mapping[0])), uintptr(length),
		uintptr(unsafe.Pointer(&cached[0])))
	if errno != 0 {
		return nil
	}
	var parts []Extent
	for i, state := range cached {
		if state&1 != 0 {
			continue
		}
		start := offset + int64(i)*page
		if last := len(parts) - 1; last >= 0 && parts[last].Offset+parts[last].Length == start {
			parts[last].Length += page
		} else {
			parts = append(parts, Extent{start, page})
		}
	}
	return parts
}

// Drop takes a part of f out of the page cache, except what is dirty or mapped. It also makes the
// kernel forget that pages which are not cached ever were: otherwise a page that was evicted
// recently and is read again counts as in use. The advice may fail; then nothing has changed. f may
// be closed meanwhile.
func Drop(f *os.File, part Extent) {
	control(f, func(fd int) error { return unix.Fadvise(fd, part.Offset, part.Length, unix.FADV_DONTNEED) })
}

// Cached returns how many bytes of a part of f are in the page cache, and false if the kernel is
// older than 6.5, which cannot tell.
func Cached(f *os.File, part Extent) (size int64, known bool) {
	var stat unix.Cachestat_t
	of := unix.CachestatRange{Off: uint64(part.Offset), Len: uint64(part.Length)}
	err := control(f, func(fd int) error { return unix.Cachestat(uint(fd), &of, &stat, 0) })
	return int64(stat.Cache) * int64(os.Getpagesize()), err == nil
}

// StartWriteBack has the kernel begin to write the dirty pages of a part of f. Clean ones can be
// dropped. Pages stay dirty, which is no error, while the kernel lacks memory to write them.
func StartWriteBack(f *os.File, part Extent) error {
	err := syncRange(f, part, unix.SYNC_FILE_RANGE_WRITE)
	if errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.EAGAIN) {
		return nil
	}
	return err
}

// AwaitWriteBack waits until what has begun is done. The kernel tells each error of f once: a later
// Sync does not return one that this has returned.
func AwaitWriteBack(f *os.File, part Extent) error {
	return syncRange(f, part, unix.SYNC_FILE_RANGE_WAIT_BEFORE)
}

func syncRange(f *os.File, part Extent, flags int) error {
	err := control(f, func(fd int) error { return unix.SyncFileRange(fd, part.Offset, part.Length, flags) })
	return os.NewSyscallError("sync_file_range", err)
}

// ReadAhead has the kernel begin to read a part of f.
func ReadAhead(f *os.File, part Extent) {
	control(f, func(fd int) error { return unix.Fadvise(fd, part.Offset, part.Length, unix.FADV_WILLNEED) })
}

// control calls do with the descriptor of f, which stays open until do returns.
func control(f *os.File, do func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	closed := conn.Control(func(fd uintptr) { err = do(int(fd)) })
	return cmp.Or(closed, err)
}
