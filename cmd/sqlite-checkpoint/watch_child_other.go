//go:build !linux

package main

import "syscall"

func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// exitedChild knows of none: elsewhere there are no containers.
func exitedChild() int { return 0 }
