package harness

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// A Victim is a process to hit, with a signal for example, in the middle of a stream of app.db.
type Victim struct {
	Program string // its executable
	Hit     func(pid int) error
	Copying bool // hit it as soon as its private copy beside a destination grows, as it makes a file and no stream
}

func Send(signal syscall.Signal) func(pid int) error {
	return func(pid int) error { return syscall.Kill(pid, signal) }
}

// Hunt looks for the victim among the processes with that variable, and hits it. It reports whether
// it was in time.
func (b *Bench) Hunt(v Victim, mark string, ended <-chan struct{}) bool {
	b.Helper()
	executable, err := filepath.EvalSymlinks(v.Program)
	b.Check(err)
	sends := v.Program == Binary
	total := Size(b.Path("app.db"))
	base := int64(-1) // what had passed through the victim when it began with the stream
	for pid := 0; ; {
		select {
		case <-ended:
			return false
		default:
		}
		switch {
		case pid == 0:
			pid = find(executable, mark)
		case v.Copying && len(b.growing()) > 0:
			return v.Hit(pid) == nil
		case v.Copying:
		case base < 0 && (!sends || PrivateCopy(pid) != ""):
			base = moved(pid, sends)
		case base >= 0 && moved(pid, sends) > base+total/4:
			syscall.Kill(pid, syscall.SIGSTOP)
			Eventually(b, "the victim stands still", func() bool { return stopped(pid) })
			early := moved(pid, sends) < base+total*3/4 && v.Hit(pid) == nil
			syscall.Kill(pid, syscall.SIGCONT)
			return early
		}
	}
}

// stopped reports whether a process is stopped, or gone.
func stopped(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.ContainsRune("TZX", rune(stat[bytes.LastIndexByte(stat, ')')+2]))
}

// growing returns the private copies beside a destination.
func (b *Bench) growing() []string {
	found, err := filepath.Glob(filepath.Join(b.Dir, "*", ".sqlite-checkpoint-*", "image.db"))
	b.Check(err)
	return found
}

// find returns the first process of that executable with that variable that is not a guard; 0 if
// there is none.
func find(executable, variable string) int {
	for _, pid := range Marked(variable) {
		exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		args, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if exe == executable && !bytes.HasPrefix(args, []byte("command-guard")) {
			return pid
		}
	}
	return 0
}

var position = regexp.MustCompile(`(?m)^pos:\t(\d+)$`)

// spliced returns how many bytes of its private copy a process has had the kernel send, which do
// not count as written.
func spliced(pid int) int64 {
	info, _ := os.ReadFile(strings.Replace(PrivateCopy(pid), "/fd/", "/fdinfo/", 1))
	found := position.FindSubmatch(info)
	if found == nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(found[1]), 10, 64)
	return n
}

var counters = regexp.MustCompile(`(?m)^(rchar|wchar): (\d+)$`)

// moved returns how many bytes a process has written or, if not written, read.
func moved(pid int, written bool) int64 {
	io, _ := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	for _, counter := range counters.FindAllStringSubmatch(string(io), -1) {
		if written == (counter[1] == "wchar") {
			n, _ := strconv.ParseInt(counter[2], 10, 64)
			if written {
				n += spliced(pid)
			}
			return n
		}
	}
	return 0
}

// Marked returns the processes that have this in their environment.
func Marked(variable string) (pids []int) {
	found, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range found {
		if environ, err := os.ReadFile(path); err == nil && bytes.Contains(environ, []byte(variable)) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// PrivateCopy returns a path to the copy that the process has unlinked: it is complete and being
// sent.
func PrivateCopy(pid int) string {
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range fds {
		if target, _ := os.Readlink(fd); strings.HasSuffix(target, "/image.db (deleted)") {
			return fd
		}
	}
	return ""
}
