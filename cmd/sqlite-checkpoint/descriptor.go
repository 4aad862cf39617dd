package main

import (
	"os"

	"golang.org/x/term"
)

// descriptor returns what file.Fd returns, but does not make the descriptor blocking, which our
// parent would notice.
func descriptor(file *os.File) int {
	fd := -1
	if conn, err := file.SyscallConn(); err == nil {
		conn.Control(func(n uintptr) { fd = int(n) })
	}
	return fd
}

func isTerminal(file *os.File) bool { return term.IsTerminal(descriptor(file)) }
