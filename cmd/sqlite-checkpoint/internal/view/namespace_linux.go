package view

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// Isolate gives the process that is started with attr a mount namespace of its own, in which it may
// mount. An unprivileged caller also gets a user namespace, in which only the caller's own IDs are
// mapped.
func Isolate(attr *syscall.SysProcAttr) {
	attr.Cloneflags |= unix.CLONE_NEWNS
	if Privileged() {
		return
	}
	attr.Cloneflags |= unix.CLONE_NEWUSER
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
	// To mount, and to make mount points in a directory that is read-only.
	attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_DAC_OVERRIDE}
}

// Privileged reports whether this process may mount, so that Isolate needs no user namespace.
func Privileged() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&header, &data[0]) == nil && data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

// dropCapabilities keeps programs started from now on from inheriting the capabilities that Isolate
// gave.
func dropCapabilities() error {
	return unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
}

// ProbeName is the os.Args[0] under which this program calls ProbeMain.
const ProbeName = "sqlite-checkpoint-view-probe"

// Probe fails with ErrRefused if a process that Isolate started could not make a view.
func Probe() error {
	probe := exec.Command("/proc/self/exe")
	probe.Args = []string{ProbeName}
	probe.SysProcAttr = &syscall.SysProcAttr{}
	Isolate(probe.SysProcAttr)
	out, err := probe.Output()
	return refusal(string(out), err)
}

// refusal says why the probe failed. It prints the reason, unless it could not even start.
func refusal(printed string, err error) error {
	var failed *exec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failed):
		return fmt.Errorf("%w: %s", ErrRefused, cmp.Or(printed, failed.Error()))
	case errors.Is(err, unix.EAGAIN):
		err = errors.New("this user may start no more processes (ulimit -u)")
	case errors.Is(err, unix.ENOSPC):
		err = errors.New("user.max_mnt_namespaces or user.max_user_namespaces allows no more")
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

// ProbeMain is the main function of the process that Probe starts.
func ProbeMain() int {
	err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	if err == nil {
		err = unix.Mount("/dev/null", "/dev/null", "", unix.MS_BIND, "")
	}
	if err != nil {
		fmt.Printf("mount: %v", err)
		return 1
	}
	return 0
}
