package main

import (
	"math/bits"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// exitedChild returns a child of this process that has exited and was not waited for yet, 0 if
// there is none.
func exitedChild() (pid int) {
	const pidAt = 2 + bits.UintSize/32 // in siginfo_t, counted in int32
	var info unix.Siginfo
	err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	if err != nil {
		return 0
	}
	return int((*[pidAt + 1]int32)(unsafe.Pointer(&info))[pidAt])
}
