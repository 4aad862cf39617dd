//go:build cgo

package batchvfs

// int batchvfs_register(const char *name);
import "C"

import "sync"

// Name returns the name that SQLite knows the VFS by.
var Name = sync.OnceValue(func() string {
	const name = "sqlite-checkpoint-batch"
	if C.batchvfs_register(C.CString(name)) != 0 { // SQLite keeps the string
		return standard
	}
	return name
})

// standard is SQLite's own VFS.
const standard = "unix"
