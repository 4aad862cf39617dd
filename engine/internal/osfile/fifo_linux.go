package osfile

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ReleaseFIFO ends every open(2) that waits for a writer of the FIFO path, and reports whether path
// is one. It does not open other files: to close one again would drop the process's locks on it.
func ReleaseFIFO(path string) bool {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil || stat.Mode&unix.S_IFMT != unix.S_IFIFO {
		return false
	}
	writer, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_WRONLY|unix.O_NONBLOCK, 0)
	if err == nil {
		writer.Close()
	}
	return true
}

// A Thread is a thread of this process.
type Thread int

// CurrentThread returns the calling thread.
func CurrentThread() Thread { return Thread(unix.Gettid()) }

// RestartCall has the kernel restart the system call that the thread waits in, if a signal can
// interrupt it: open(2) then looks up its path again. Go's runtime handles this signal, and
// sends it itself for other reasons.
func (t Thread) RestartCall() { unix.Tgkill(unix.Getpid(), int(t), unix.SIGURG) }
