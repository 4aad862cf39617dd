//go:build !linux

package engine

import "os"

func (s *sourceFile) lookBeside() neighbours { return neighbours{} }

func (s *sourceFile) walReader() (pid int) { return 0 }

func exclusiveHolder(*os.File) (held bool, pid int) { return false, 0 }

// lookAtLocks sees nothing where there are no open file description locks: F_GETLK would not show this process's own.
func lookAtLocks(*os.File) lockView { return lockView{} }

func conflicting(*os.File, lockKind, int64, int64) (held, known bool) { return false, false }
