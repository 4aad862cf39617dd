package testkit

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// LeakChecked wraps the tests of a package: goroutines, descriptors, child processes and temporary
// files must be gone when they have passed. They get a temporary directory of their own, which
// every user can write to. Without /proc, descriptors and children are not checked.
func LeakChecked(m *testing.M) interface{ Run() int } { return checked{m} }

type checked struct{ m *testing.M }

func (c checked) Run() int {
	temp, err := os.MkdirTemp("", "test")
	if err == nil {
		err = os.Chmod(temp, 0o777|os.ModeSticky)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(temp)
	os.Setenv("TMPDIR", temp)
	stopIgnoring(syscall.SIGHUP, syscall.SIGINT) // Go itself catches the others
	before := descriptors()
	for fd := range before {
		if n, err := strconv.Atoi(fd); err == nil && n > 2 {
			closeOnExec(n) // descriptors that the tests inherit count against RLIMIT_NOFILE
		}
	}
	code := c.m.Run()
	if code != 0 {
		return code
	}
	for _, err := range []error{goleak.Find(), compare(before, descriptors()), none("child process", children()),
		none("temporary file", names(temp))} {
		if err != nil {
			fmt.Fprintln(os.Stderr, "left behind:", err)
			code = 1
		}
	}
	return code
}

// stopIgnoring makes signals that this process ignores, as under nohup, end the processes that it
// starts. It catches them: they still have no effect here, but child processes do not inherit that.
func stopIgnoring(signals ...os.Signal) {
	for _, s := range signals {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
}

// descriptors returns the open descriptors and what they lead to, except those of Go's poller,
// which stay open.
func descriptors() map[string]string {
	open := map[string]string{}
	for _, fd := range names("/proc/self/fd") {
		target, err := os.Readlink("/proc/self/fd/" + fd)
		if err == nil && !strings.HasPrefix(target, "anon_inode:[event") {
			open[fd] = target
		}
	}
	return open
}

func compare(before, after map[string]string) error {
	var left []string
	for fd, target := range after {
		if before[fd] == "" {
			left = append(left, fd+" -> "+target)
		}
	}
	return none("descriptor", left)
}

// children returns the processes that this one has started and not waited for.
func children() (pids []string) {
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		data, _ := os.ReadFile(list)
		pids = append(pids, strings.Fields(string(data))...)
	}
	return pids
}

func names(dir string) (all []string) {
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return all
}

func none(what string, left []string) error {
	if len(left) == 0 {
		return nil
	}
	return fmt.Errorf("%d of kind %s: %q", len(left), what, left)
}
