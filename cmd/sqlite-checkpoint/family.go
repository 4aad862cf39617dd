package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// adopt makes this process the parent of every orphan among its descendants, so that none can slip out of sight.
func adopt() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// freeze stops all descendants of the process root. It is done when a look finds none that had not been sent the signal:
// a process that has been sent it starts no other.
func freeze(root int) (pids []int) {
	seen := map[int]bool{}
	for {
		found := len(seen)
		for _, pid := range descendants(root) {
			if !seen[pid] {
				seen[pid] = true
				pids = append(pids, pid)
				unix.Kill(pid, unix.SIGSTOP)
			}
		}
		if len(seen) == found {
			return pids
		}
	}
}

// extinguish kills all descendants of the process root until released, which may wait so many milliseconds, says that
// the pipe they read from can be let go. Nobody sees another die: they are all stopped before the first is killed, and
// children are killed before their parents, as the death of a parent can continue them: see setpgid(2).
func extinguish(root int, released func(wait int) bool) {
	for wait := 5; ; wait = min(2*wait, 1000) {
		for _, pid := range slices.Backward(freeze(root)) {
			unix.Kill(pid, unix.SIGKILL)
		}
		if released(wait) {
			return
		}
	}
}

// abandoned tells whether a pipe has no reader, and waits so many milliseconds for it.
func abandoned(write *os.File, wait int) bool {
	look := []unix.PollFd{{Fd: int32(descriptor(write))}}
	unix.Poll(look, wait)
	return look[0].Revents&unix.POLLERR != 0
}

// descendants are the children of the process root, and theirs, as far as they are alive.
func descendants(root int) (pids []int) {
	children := map[int][]int{}
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if parent, alive := parentOf(pid); alive {
			children[parent] = append(children[parent], pid)
		}
	}
	pids = children[root]
	for i := 0; i < len(pids); i++ {
		pids = append(pids, children[pids[i]]...)
	}
	return pids
}

// parentOf reads /proc/PID/stat: the number, the name in parentheses with anything in it, the state, the parent.
func parentOf(pid int) (parent int, alive bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	var state byte
	n, _ := fmt.Sscanf(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " %c %d", &state, &parent)
	return parent, n == 2
}
