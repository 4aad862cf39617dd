package engine

import (
	"errors"
	"os"
)

// Held tells whether some connection, of any process, has a database open.
type Held string

const (
	HeldYes Held = "yes"
	HeldNo  Held = "no"
	// HeldUnknown is the answer where an idle connection leaves no trace, as in rollback mode, and where locks cannot be seen.
	HeldUnknown Held = "unknown"
)

// A lockView is what the locks on a database's lock bytes tell. To look at them takes none.
type lockView struct {
	known     bool // the platform and the file system tell at all
	any       bool // some connection reads or writes, or has the database open in WAL mode
	writing   bool // some connection holds RESERVED, PENDING or EXCLUSIVE
	excluding bool // PENDING or EXCLUSIVE: nobody else can begin to read
}

// heldBy weighs the locks on the main file and, in WAL mode, on the -shm.
func heldBy(locks lockView, wal bool, shm sibling) Held {
	switch {
	case locks.any:
		return HeldYes
	case !wal || !locks.known || shm.err != nil:
		return HeldUnknown
	case shm.file == nil:
		return HeldNo // without -shm, only a connection that holds EXCLUSIVE can be in WAL mode
	}
	return heldInWAL(shm.file)
}

// heldInWAL looks at the lock that every connection to a WAL database holds on its -shm.
func heldInWAL(shm *os.File) Held {
	held, known := conflicting(shm, exclusiveLock, walIndexOpenLock, 1)
	switch {
	case held:
		return HeldYes
	case known:
		return HeldNo
	}
	return HeldUnknown
}

// The kinds of lock that a look can ask about.
type lockKind bool

const (
	sharedLock    lockKind = false // conflicts with write locks
	exclusiveLock lockKind = true  // conflicts with every lock
)

// neighbours are the SQLite connections of others, as their locks tell. One that has a database open in WAL mode holds SHARED on
// the main file and a lock on its -shm until it is closed.
type neighbours struct {
	main   bool // somebody holds SHARED or more
	index  bool // somebody has the -shm open that is beside the main file
	reader bool // somebody reads by it: perhaps another run of this program, which opens one that nobody else has open read-only
	blind  bool // it cannot be read
}

var errElsewhere = errors.New("somebody has the database open whose -wal is not the one beside it: deleted, or under another name of the file")

// elsewhere reports whether somebody uses a -wal that is not the one beside the main file.
func (n neighbours) elsewhere(s sourceState) bool {
	return s.walHeader && n.main && !n.blind && (s.wal == absent || !n.index && !n.reader)
}
