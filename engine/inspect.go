package engine

import (
	"cmp"
	"context"
	"io/fs"
	"syscall"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/sqlitefile"
)

// An Inspection describes a database, as far as plain reads of its files can. Page and freelist
// counts, and everything else in the database header, are those of the newest commit, whether in
// the main file or in the WAL.
type Inspection struct {
	Path         string // as the caller gave it
	ResolvedPath string // absolute, symbolic links followed; the -wal, -shm and -journal are beside this one

	Size      int64       // bytes of the main file
	Mode      fs.FileMode // permission bits of the main file
	UID, GID  uint32      // its owner
	HardLinks uint64      // its names; with more than one, each has a -wal of its own

	JournalMode   string // "wal" or "delete", what PRAGMA journal_mode would answer on a new connection
	PageSize      int    // bytes
	PageCount     int64  // pages
	FreelistCount int64  // pages
	ReservedBytes int    // at the end of each page
	Encoding      string // "UTF-8", "UTF-16le" or "UTF-16be"
	AutoVacuum    string // "none", "full" or "incremental"
	SchemaCookie  uint32
	UserVersion   int32
	ApplicationID uint32
	SQLiteVersion string // of the library that wrote last, "3.40.1"; empty if unknown
	WALResetBug   bool   // that version, in WAL mode, can lose a commit when another process checkpoints

	WAL       WAL
	ShmExists bool
	Journal   Journal
	InUse     InUse

	Litestream string // directory of Litestream beside a database that it replicates, or empty

	Filesystem        string // by statfs(2): "ext4", "nfs", ...; empty if unknown
	NetworkFilesystem bool   // its clients may not see each other's locks

	Backup       Forecast // what a backup would do at this moment
	BackupDetail string   // the same as a phrase, with the reason

	foreignWAL string // why the -wal seems to be another database's
}

// A Forecast says what a backup would do.
type Forecast string

const (
	ForecastReadOnly     Forecast = "read_only"     // read the database under SQLite's SHARED lock
	ForecastSharedMemory Forecast = "shared_memory" // read the WAL through the -shm that is there
	ForecastImmutable    Forecast = "immutable"     // read without locks, and again if the file changes
	ForecastPrivateCopy  Forecast = "private_copy"  // copy the database and its WAL first, and read that copy
	ForecastBusy         Forecast = "busy"          // wait, then fail with KindBusy or KindExclusive
	ForecastRefused      Forecast = "refused"       // fail
)

// WAL is what is in a write-ahead log.
type WAL struct {
	Exists bool
	Size   int64 // bytes
	// Frames is the number of whole frames in the file, including stale ones from before a restart.
	Frames int64
	// CommittedFrames is the number of valid frames up to the last commit.
	CommittedFrames int64
	// UncheckpointedFrames is the number of committed frames that are not in the main file yet,
	// according to the -shm; without a valid -shm, all of them.
	UncheckpointedFrames int64
	// UncheckpointedBytes is the size of their pages. A page that was written twice counts twice.
	UncheckpointedBytes int64
}

// Journal is the state of the rollback journal.
type Journal string

const (
	JournalNone    Journal = "none"    // there is no -journal
	JournalEmpty   Journal = "empty"   // zero bytes, as journal_mode=TRUNCATE leaves it
	JournalZeroed  Journal = "zeroed"  // its header is zeroed: journal_mode=PERSIST, or nothing in the main file yet
	JournalPresent Journal = "present" // a transaction is being written, or, where locks cannot be seen, it is hot
	JournalHot     Journal = "hot"     // a crash left it: the main file is not consistent until it has been played back
	JournalUnknown Journal = "unknown" // it cannot be read
)

// inspectAttempts is how often a database that changes meanwhile is read. Each attempt finds some
// commit, the last perhaps not the newest.
const inspectAttempts = 5

// Inspect describes a database, its WAL, and what a backup would do. It never opens the database
// with SQLite, takes no lock and changes nothing. It reads the whole WAL, and little else.
//
// A path that does not lead to a database is an [Error] of [KindMissing], [KindNotDatabase] or
// [KindUnreadable]. So is a -wal that cannot be read, as the newest commit may be in it.
func Inspect(ctx context.Context, path string) (Inspection, error) {
	src, err := openSource("inspect", path)
	if err != nil {
		return Inspection{}, err
	}
	defer src.Close()
	in, _, err := src.inspect(ctx)
	return in, err
}

func (s *sourceFile) inspect(ctx context.Context) (Inspection, outlook, error) {
	in := Inspection{Path: s.name, ResolvedPath: s.path, Litestream: s.litestream()}
	in.setOwner(s.info)
	in.Filesystem, in.NetworkFilesystem, _ = networkFilesystem(s.path)
	for range inspectAttempts {
		steady, err := in.read(ctx, s)
		if err != nil { // such as that of a link, which says more
			return Inspection{}, outlook{}, inspectError(ctx, s.name, cmp.Or(s.checkAuxFiles(), err))
		}
		if steady {
			break
		}
	}
	look := in.setUse(s)
	return in, look, nil
}

// setOwner records the results of stat(2).
func (in *Inspection) setOwner(info fs.FileInfo) {
	in.Mode = info.Mode().Perm()
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		in.UID, in.GID, in.HardLinks = stat.Uid, stat.Gid, uint64(stat.Nlink)
	}
}

// read reads headers and WAL once. steady reports whether no checkpoint and no restart of the WAL
// happened meanwhile.
func (in *Inspection) read(ctx context.Context, s *sourceFile) (steady bool, err error) {
	if err := s.readHeader(); err != nil {
		return false, err
	}
	before := s.header
	wal, shm := sqlitefile.OpenAux(s.path+"-wal"), sqlitefile.OpenAux(s.path+"-shm")
	defer wal.Close()
	defer shm.Close()
	contents, err := in.readWAL(ctx, wal, shm, before.PageSize)
	if err != nil {
		return false, err
	}
	info, err := s.file.Stat()
	if err != nil {
		return false, err
	}
	in.Size = info.Size()
	in.setHeader(before, contents)
	in.ShmExists = shm.Exists
	if before.WAL() || in.WAL.Size > 0 {
		in.JournalMode = "wal" // a -wal beside a rollback-mode header is opened, too
	} else {
		in.JournalMode = "delete"
	}
	in.WALResetBug = in.JournalMode == "wal" && hasWALResetBug(newestHeader(before, contents).SQLiteVersion)
	if err := s.readHeader(); err != nil {
		return false, err
	}
	steady = s.header == before && !contents.Restarted(wal)
	if in.foreignWAL = ""; steady && wal.NonEmpty() {
		in.foreignWAL = foreignLog(before, contents, wal.Size)
	}
	return steady, nil
}

// readWAL reads the -shm first, so that every frame it counts is still found in the WAL.
func (in *Inspection) readWAL(ctx context.Context, wal, shm sqlitefile.AuxFile, pageSize int) (sqlitefile.WAL, error) {
	in.WAL = WAL{Exists: wal.Exists, Size: max(0, wal.Size)}
	if !wal.NonEmpty() {
		return sqlitefile.WAL{}, nil
	}
	if wal.Err != nil {
		return sqlitefile.WAL{}, in.walError(wal.Err)
	}
	index := shm.WALIndex()
	c, err := sqlitefile.ReadWAL(ctx, wal.File, wal.Size, pageSize)
	if err != nil {
		return c, in.walError(err)
	}
	in.WAL.Frames = c.Frames
	in.WAL.CommittedFrames = c.Committed
	in.WAL.UncheckpointedFrames = c.Committed
	if index.Salt == c.Salt {
		in.WAL.UncheckpointedFrames = max(0, c.Committed-index.Backfill)
	}
	in.WAL.UncheckpointedBytes = in.WAL.UncheckpointedFrames * int64(pageSize)
	return c, nil
}

func (in *Inspection) walError(err error) error {
	return &Error{Kind: KindUnreadable, Op: "inspect", Path: in.ResolvedPath + "-wal", Err: underlying(err)}
}

// newestHeader returns the header as of the last commit.
func newestHeader(h sqlitefile.Header, c sqlitefile.WAL) sqlitefile.Header {
	if newest, err := sqlitefile.ParseHeader(c.Page1); err == nil {
		return newest
	}
	return h
}

// setHeader records what the newest version of page 1 says.
func (in *Inspection) setHeader(h sqlitefile.Header, c sqlitefile.WAL) {
	h = newestHeader(h, c)
	in.PageSize = h.PageSize
	in.PageCount = pageCount(h, c.PageCount, in.Size)
	in.FreelistCount = int64(h.FreelistCount)
	in.ReservedBytes = h.Reserved
	in.Encoding = h.EncodingName()
	in.AutoVacuum = h.AutoVacuumName()
	in.SchemaCookie = h.SchemaCookie
	in.UserVersion = h.UserVersion
	in.ApplicationID = h.ApplicationID
	in.SQLiteVersion = h.SQLiteVersionName()
}

// pageCount counts as SQLite does: by the header if its count is valid, then by the last commit in
// the WAL, then by the file.
func pageCount(h sqlitefile.Header, committed uint32, size int64) int64 {
	switch {
	case h.CountValid():
		return int64(h.PageCount)
	case committed > 0:
		return int64(committed)
	}
	return (size + int64(h.PageSize) - 1) / int64(h.PageSize)
}

// setUse records who uses the database, and what a backup would do.
func (in *Inspection) setUse(s *sourceFile) outlook {
	look := s.outlook()
	locks := look.locks
	in.Journal = look.journal
	if in.NetworkFilesystem { // others' locks may not be seen here
		locks.known = false
		if in.Journal == JournalHot {
			in.Journal = JournalPresent
		}
	}
	shm := sqlitefile.OpenAux(s.path + "-shm")
	defer shm.Close()
	in.InUse = inUseBy(locks, in.JournalMode == "wal", shm)
	in.Backup, in.BackupDetail = look.forecast(in.InUse)
	return look
}
