// Package osfile wraps system calls on files that package os lacks: byte range locks, leases, file
// states, the identity of another user. Almost all build tags of engine are here.
package osfile

import "errors"

// ErrLocked means that another process or another open file description holds a conflicting lock.
var ErrLocked = errors.New("database is locked")

// A LockKind is the kind of a byte range lock.
type LockKind bool

const (
	Shared    LockKind = false // conflicts with exclusive locks
	Exclusive LockKind = true  // conflicts with every lock
)
