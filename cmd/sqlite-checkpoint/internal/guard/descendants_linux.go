package guard

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// becomeSubreaper makes this process the parent of all orphans among its descendants.
func becomeSubreaper() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// A procEntry is a process as /proc shows it.
type procEntry struct{ pid, parent int }

// A target is a process to send signals to. Its pidfd, where there is one, names the same process
// forever: a process ID may be reused as soon as the parent has waited for the process.
type target struct{ pid, fd int }

// open returns the target for c. It reports false if c has exited or has another parent by now.
func (c procEntry) open() (target, bool) {
	fd, err := unix.PidfdOpen(c.pid, 0)
	if err == unix.ESRCH {
		return target{}, false
	}
	if err != nil {
		return target{c.pid, -1}, true // an old kernel, or no descriptor left
	}
	if parent, alive := parentOf(c.pid); !alive || parent != c.parent {
		unix.Close(fd)
		return target{}, false
	}
	return target{c.pid, fd}, true
}

func (t target) signal(s unix.Signal) {
	if t.fd < 0 {
		unix.Kill(t.pid, s)
		return
	}
	unix.PidfdSendSignal(t.fd, s, nil, 0)
}

func (t target) close() {
	if t.fd >= 0 {
		unix.Close(t.fd)
	}
}

// stopTree stops all descendants of the process root and returns them, parents first. A stopped
// process starts no other, so all are stopped once two scans of /proc in a row show the same.
func stopTree(root int) []target {
	var last []procEntry
	stopped := map[int]target{}
	for {
		scan := descendants(root)
		if slices.Equal(scan, last) {
			return inOrder(scan, stopped)
		}
		last = scan
		for _, c := range scan {
			if _, known := stopped[c.pid]; known {
				continue
			}
			if t, ok := c.open(); ok {
				t.signal(unix.SIGSTOP)
				stopped[c.pid] = t
			}
		}
	}
}

// inOrder returns the targets in the order of a scan, and closes those that are no longer in it.
func inOrder(scan []procEntry, stopped map[int]target) (targets []target) {
	for _, c := range scan {
		if t, known := stopped[c.pid]; known {
			targets = append(targets, t)
			delete(stopped, c.pid)
		}
	}
	closeAll(slices.Collect(maps.Values(stopped)))
	return targets
}

// closeAll closes the descriptors of targets.
func closeAll(targets []target) {
	for _, t := range targets {
		t.close()
	}
}

// killTree kills all descendants of the process root until done, which may wait for the given time,
// reports that nothing is left to kill. All are stopped before the first is killed, and children
// are killed before their parents, as the death of a parent can continue stopped children: see
// setpgid(2).
func killTree(root int, done func(wait time.Duration) bool) {
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		targets := stopTree(root)
		for _, t := range slices.Backward(targets) {
			t.signal(unix.SIGKILL)
		}
		closeAll(targets)
		if done(wait) {
			return
		}
	}
}

// hasNoReader waits for a while, and reports whether no process has the read end of a pipe open.
func hasNoReader(writeEnd *os.File, wait time.Duration) bool {
	poll := []unix.PollFd{{Fd: int32(descriptor(writeEnd))}}
	unix.Poll(poll, int(wait.Milliseconds()))
	return poll[0].Revents&unix.POLLERR != 0
}

// descendants lists the children of the process root, and theirs, zombies included.
func descendants(root int) (all []procEntry) {
	children := map[int][]procEntry{}
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if parent, alive := parentOf(pid); alive {
			children[parent] = append(children[parent], procEntry{pid, parent})
		}
	}
	all = children[root]
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i].pid]...)
	}
	return all
}

// parentOf reads /proc/PID/stat: the ID, the name in parentheses with anything in it, the state,
// the parent.
func parentOf(pid int) (parent int, alive bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	var state byte
	n, _ := fmt.Sscanf(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " %c %d", &state, &parent)
	return parent, n == 2
}
