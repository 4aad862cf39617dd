//go:build unix

package testkit

import "syscall"

func closeOnExec(fd int) { syscall.CloseOnExec(fd) }
