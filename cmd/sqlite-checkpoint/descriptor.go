package main

import (
	"os"

	"golang.org/x/term"
)

// descriptor is file.Fd without its side effect: that makes the descriptor blocking, for our parent, too.
func descriptor(file *os.File) int {
	fd := -1
	if conn, err := file.SyscallConn(); err == nil {
		conn.Control(func(n uintptr) { fd = int(n) })
	}
	return fd
}

func isTerminal(file *os.File) bool { return term.IsTerminal(descriptor(file)) }
