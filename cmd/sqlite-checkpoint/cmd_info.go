package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

type infoCmd struct {
	DB string `arg:"" name:"db" help:"The database."`
}

func (*infoCmd) Help() string {
	return `Shows what kind of database DB is, what its write-ahead log holds, whether a process has it open, what a
backup would do, and how much space that needs. It only reads: it takes no lock and changes nothing. The counts are
those of the newest commit.

  sqlite-checkpoint info app.db
  sqlite-checkpoint --json info app.db`
}

// Run is the command.
func (cmd *infoCmd) Run(ctx context.Context, con *console) error {
	if cmd.DB == "" {
		return usagef("DB is empty")
	}
	in, err := engine.Inspect(ctx, cmd.DB)
	if err != nil {
		return err
	}
	if in.NetworkFilesystem && in.JournalMode == "wal" {
		con.warn(fmt.Sprintf("%s is in WAL mode on %s: locks may not be shared there", cmd.DB, in.Filesystem))
	}
	r := inspected(in)
	if r.Truncated {
		r.Backup, r.BackupDetail = string(engine.ForecastRefused), "would be refused: the file is truncated"
		has, needs := humanize.Comma(in.Size), humanize.Comma(r.BackupBytes)
		con.warn(fmt.Sprintf("%s is truncated: %s of %s bytes", cmd.DB, has, needs))
	}
	if r.Trailer = hasTrailer(cmd.DB, in.Size); r.Trailer {
		con.note(cmd.DB + " is a stream with its trailer: verify and restore read it")
	}
	return con.show(r)
}

// isTruncated reports whether pages are missing, and neither a WAL nor a transaction explains it.
func isTruncated(in engine.Inspection) bool {
	if in.Journal == engine.JournalPresent || in.Journal == engine.JournalHot || in.WAL.UncheckpointedFrames > 0 {
		return false
	}
	return in.Size < in.PageCount*int64(in.PageSize)
}

// hasTrailer reports whether a file is a raw stream.
func hasTrailer(name string, size int64) bool {
	f, err := openWithoutWaiting(name)
	if err != nil {
		return false
	}
	defer f.Close()
	_, err = stream.ReadTrailer(f, size)
	return err == nil
}

// An infoResult is an engine.Inspection under the keys that scripts know.
type infoResult struct {
	Command       string `json:"command"`
	Path          path   `json:"path"`
	SizeBytes     int64  `json:"size_bytes"`
	JournalMode   string `json:"journal_mode"`
	WALExists     bool   `json:"wal_file_exists"`
	WALSize       int64  `json:"wal_size_bytes"`
	PageSize      int    `json:"page_size"`
	PageCount     int64  `json:"page_count"`
	FreelistCount int64  `json:"freelist_count"`

	ResolvedPath         path   `json:"resolved_path"`
	WALFrames            int64  `json:"wal_frames"`
	WALCommitted         int64  `json:"wal_committed_frames"`
	WALUncheckpointed    int64  `json:"wal_uncheckpointed_frames"`
	UncheckpointedBytes  int64  `json:"wal_uncheckpointed_bytes"`
	ShmExists            bool   `json:"shm_file_exists"`
	Journal              string `json:"journal"` // none, empty, zeroed, present, hot, unknown
	Held                 string `json:"held"`    // yes, no, unknown
	Backup               string `json:"backup"`  // an engine.Forecast
	BackupDetail         text   `json:"backup_detail"`
	BackupBytes          int64  `json:"backup_bytes"` // size of the image
	Truncated            bool   `json:"truncated"`
	Trailer              bool   `json:"trailer"` // the file is a raw stream
	Encoding             string `json:"encoding"`
	AutoVacuum           string `json:"auto_vacuum"`
	ReservedBytes        int    `json:"reserved_bytes"`
	SchemaCookie         uint32 `json:"schema_cookie"`
	UserVersion          int32  `json:"user_version"`
	ApplicationID        uint32 `json:"application_id"`
	SQLiteVersion        string `json:"sqlite_version"`
	WALResetBug          bool   `json:"wal_reset_bug"` // of that version, in WAL mode
	Litestream           path   `json:"litestream,omitempty"`
	Mode                 string `json:"mode"` // octal
	UID                  uint32 `json:"uid"`
	GID                  uint32 `json:"gid"`
	HardLinks            uint64 `json:"hard_links"`
	Filesystem           string `json:"filesystem"`
	HasNetworkFilesystem bool   `json:"network_filesystem"`
}

func inspected(in engine.Inspection) *infoResult {
	return &infoResult{
		Command:              "info",
		Path:                 path(in.Path),
		SizeBytes:            in.Size,
		JournalMode:          in.JournalMode,
		WALExists:            in.WAL.Exists,
		WALSize:              in.WAL.Size,
		PageSize:             in.PageSize,
		PageCount:            in.PageCount,
		FreelistCount:        in.FreelistCount,
		ResolvedPath:         path(in.ResolvedPath),
		WALFrames:            in.WAL.Frames,
		WALCommitted:         in.WAL.CommittedFrames,
		WALUncheckpointed:    in.WAL.UncheckpointedFrames,
		UncheckpointedBytes:  in.WAL.UncheckpointedBytes,
		ShmExists:            in.ShmExists,
		Journal:              string(in.Journal),
		Held:                 string(in.InUse),
		Backup:               string(in.Backup),
		BackupDetail:         text(in.BackupDetail),
		BackupBytes:          in.PageCount * int64(in.PageSize),
		Truncated:            isTruncated(in),
		Encoding:             in.Encoding,
		AutoVacuum:           in.AutoVacuum,
		ReservedBytes:        in.ReservedBytes,
		SchemaCookie:         in.SchemaCookie,
		UserVersion:          in.UserVersion,
		ApplicationID:        in.ApplicationID,
		SQLiteVersion:        in.SQLiteVersion,
		WALResetBug:          in.WALResetBug,
		Litestream:           path(in.Litestream),
		Mode:                 fmt.Sprintf("%04o", in.Mode),
		UID:                  in.UID,
		GID:                  in.GID,
		HardLinks:            in.HardLinks,
		Filesystem:           in.Filesystem,
		HasNetworkFilesystem: in.NetworkFilesystem,
	}
}

func (r *infoResult) lines() []string {
	lines := []string{string(r.Path)}
	for _, row := range [][2]string{
		{"database", r.database()},
		{"journal", r.journal()},
		{"WAL", r.wal()},
		{"in use", r.held()},
		{"backup", fmt.Sprintf("%s; %s", r.BackupDetail, humanize.IBytes(uint64(r.BackupBytes)))},
		{"content", r.content()},
		{"file", r.file()},
	} {
		lines = append(lines, fmt.Sprintf("  %-9s %s", row[0], row[1]))
	}
	return lines
}

func (r *infoResult) database() string {
	pages, free := humanize.Comma(r.PageCount), humanize.Comma(r.FreelistCount)
	return fmt.Sprintf("%s, %s pages of %d bytes, %s of them free", r.size(), pages, r.PageSize, free)
}

// size describes the size of the file, and of the database if part of it is still in the WAL.
func (r *infoResult) size() string {
	if r.SizeBytes >= r.BackupBytes || r.Truncated {
		return size(r.SizeBytes)
	}
	return fmt.Sprintf("file %s; %s with its WAL", size(r.SizeBytes), humanize.IBytes(uint64(r.BackupBytes)))
}

func (r *infoResult) journal() string {
	words := "rollback journal"
	if r.JournalMode == "wal" {
		words = "WAL mode"
	}
	words += ", journal_mode=" + r.JournalMode // the word that the original printed
	if r.Journal != string(engine.JournalNone) {
		words += fmt.Sprintf("; there is a -journal (%s)", r.Journal)
	}
	return words
}

func (r *infoResult) wal() string {
	switch {
	case !r.WALExists:
		return "none"
	case r.WALSize == 0:
		return "empty"
	}
	return fmt.Sprintf("%s, %s frames, %s committed, %s not checkpointed yet (%s)", size(r.WALSize),
		humanize.Comma(r.WALFrames), humanize.Comma(r.WALCommitted), humanize.Comma(r.WALUncheckpointed),
		humanize.IBytes(uint64(r.UncheckpointedBytes)))
}

func (r *infoResult) held() string {
	switch engine.InUse(r.Held) {
	case engine.InUseYes:
		return "yes, a connection has it open"
	case engine.InUseNo:
		return "no"
	}
	return "unknown: an idle connection holds no lock"
}

func (r *infoResult) content() string {
	words := []string{r.Encoding, "auto_vacuum " + r.AutoVacuum, fmt.Sprintf("user_version %d", r.UserVersion)}
	if r.ApplicationID != 0 {
		words = append(words, fmt.Sprintf("application_id 0x%08x", r.ApplicationID))
	}
	if r.SQLiteVersion != "" {
		words = append(words, "last written by SQLite "+r.SQLiteVersion)
	}
	if r.WALResetBug {
		words = append(words, "which has the WAL-reset bug")
	}
	return strings.Join(words, ", ")
}

func (r *infoResult) file() string {
	words := fmt.Sprintf("mode %s, owner %d:%d", r.Mode, r.UID, r.GID)
	if r.HardLinks > 1 {
		words += fmt.Sprintf(", %d hard links", r.HardLinks)
	}
	if r.Filesystem != "" {
		words += ", on " + r.Filesystem
	}
	if r.Litestream != "" {
		words += ", replicated by Litestream"
	}
	if r.HasNetworkFilesystem {
		words += " (network: locks may not be shared)"
	}
	if typed, err := filepath.Abs(string(r.Path)); err == nil && typed != string(r.ResolvedPath) {
		words += ", resolved to " + string(r.ResolvedPath)
	}
	return words
}

// size formats a size for people, with the exact number.
func size(bytes int64) string {
	return fmt.Sprintf("%s (%s bytes)", humanize.IBytes(uint64(bytes)), humanize.Comma(bytes))
}
