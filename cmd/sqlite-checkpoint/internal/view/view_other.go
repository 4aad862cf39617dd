//go:build !linux

package view

import "syscall"

// ProbeName is the os.Args[0] under which this program calls ProbeMain.
const ProbeName = "sqlite-checkpoint-view-probe"

// Isolate does nothing here: Probe has failed.
func Isolate(*syscall.SysProcAttr) {}

// Privileged reports whether this process may mount.
func Privileged() bool { return false }

// Probe fails: only Linux has mount namespaces.
func Probe() error { return ErrRefused }

// ProbeMain is the main function of the process that Probe starts.
func ProbeMain() int { return 1 }

// Mount fails: only Linux has mount namespaces.
func Mount(View) error { return ErrRefused }
