package engine

import (
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

// DefaultBusyTimeout is how long to wait for a locked database by default.
const DefaultBusyTimeout = 10 * time.Second

// A Check is the check that a caller asks for.
type Check string

const (
	// CheckAuto runs PRAGMA quick_check, or as much of it as possible if this build lacks a
	// collation or a virtual table module that the database needs. The zero value means the same.
	CheckAuto Check = "auto"
	// CheckQuick runs PRAGMA quick_check, and fails with [KindCheckIncomplete] if this build
	// cannot.
	CheckQuick Check = "quick"
	// CheckFull runs PRAGMA integrity_check, and fails with [KindCheckIncomplete] if this build
	// cannot.
	CheckFull Check = "full"
	// CheckNone copies whatever SQLite can read, corrupt or not.
	CheckNone Check = "none"
)

// A Level is the check that a copy has passed.
type Level string

const (
	LevelNone       Level = "none"       // not checked
	LevelStructural Level = "structural" // b-trees, but not everything an index or a virtual table means
	LevelQuick      Level = "quick"      // PRAGMA quick_check
	LevelFull       Level = "full"       // PRAGMA integrity_check
)

// A Phase is a part of a call's work.
type Phase string

const (
	PhaseWait  Phase = "wait"  // for a lock
	PhaseCopy  Phase = "copy"  // bytes copied
	PhaseCheck Phase = "check" // Done stays 0: SQLite does not report progress
	PhaseWrite Phase = "write" // bytes written to a destination on another file system
)

// Progress is how far a call has come. Done and Total are bytes of the image, 0 if not known.
type Progress struct {
	Phase Phase
	Done  int64
	Total int64
}

// SnapshotOptions are the options of [TakeSnapshot]. The zero value is right for a stream.
type SnapshotOptions struct {
	// Check is the check of the copy.
	Check Check
	// BusyTimeout bounds the wait for a locked or too quickly changing source. Zero means
	// DefaultBusyTimeout, negative means not to wait.
	BusyTimeout time.Duration
	// Timeout is how long the file system of the copy may hang before TakeSnapshot gives up, so
	// that the source is not locked for longer: at most ten seconds, which zero also means.
	// If not zero, it is also how long Commit waits for a write or a sync of a destination that is
	// on a network file system.
	Timeout time.Duration
	// PagesPerStep is the number of pages per backup step, up to 64 MiB. Zero means about 4 MiB.
	PagesPerStep int
	// TempDir is where the private copy is made. Empty means where SQLite would: SQLITE_TMPDIR,
	// TMPDIR, /var/tmp, /usr/tmp, /tmp, the first that is a writable directory.
	TempDir string
	// Destination, if not empty, is the file that [Snapshot.Commit] creates. The private copy is
	// then made in its directory instead of TempDir, so that Commit only has to link it, unless
	// that is on a network or FUSE file system and TempDir is not: Commit then writes it there,
	// while the source is free.
	Destination string
	// Place, if not nil, is the directory of Destination, or TempDir, already open, wherever the
	// path leads by now. It must stay open until Commit.
	Place *atomicfile.Place
	// Queryable keeps the private copy's name until Close, as [Snapshot.Image] requires.
	Queryable bool
	// Go, if not nil, starts the goroutines of the check and the digest instead of the go
	// statement. The source is free by then, and only the caller waits for them.
	Go func(f func())
	// GoCopy, if not nil, starts the goroutine that copies for the first two seconds, if the source
	// is in WAL mode, where no writer waits for the copy. The rest is copied by the caller's
	// goroutine: a long read transaction keeps the WAL from restarting.
	GoCopy func(f func())
	// GoLocked, if not nil, starts the goroutine that makes the copy if the source is in rollback
	// mode, where writers wait until it is made.
	GoLocked func(f func())
	// Progress, if not nil, is called at most once a step, by one goroutine at a time, not always
	// the caller's. During PhaseCopy the source is locked: a call that waits makes writers wait.
	Progress func(Progress)
}

// Info describes an image: a copy of a database that has been checked.
type Info struct {
	Size      int64         // bytes: PageSize × PageCount
	PageSize  int           // bytes
	PageCount int64         // pages
	Locked    time.Duration // how long the source was: in rollback mode, commits waited
	WAL       bool          // the image is in WAL mode: its reader needs a writable directory
	Level     Level         // the check it has passed
	Reason    string        // why Level is less than what was asked for; empty if it is not
	Warnings  []string      // facts about the source that an operator should know; one line each
}
