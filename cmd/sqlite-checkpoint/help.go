package main

import (
	"strings"

	"github.com/alecthomas/kong"
)

// withLongHelp gives flags the help text that their struct tag names. As variables of kong, which
// puts each into each flag, these texts cost more time than the backup of a small database.
func withLongHelp() kong.Option {
	return kong.PostBuild(func(k *kong.Kong) error {
		return kong.Visit(k.Model, func(node kong.Visitable, next kong.Next) error {
			if flag, ok := node.(*kong.Flag); ok {
				if text, long := longHelp[strings.Trim(flag.Help, "${}")]; long {
					flag.Help = text
				}
			}
			return next(nil)
		})
	})
}

// longHelp has the help texts that are too long for a struct tag, which takes no line break.
var longHelp = map[string]string{
	"report_help": "Write the result, or the error, to FILE as JSON; replaces an earlier report.",

	"check_help": "SQLite's check of the copy: auto, quick, full or none. auto is quick, or weaker if " +
		"this build lacks a module or collation that the database needs (default: auto).",
	"level_help": "Compression level: 1 to 22 as in zstd, or fastest, default, better, best.",
	"sidecar_help": "Write the SHA-256 of the output to FILE, for sha256sum -c " +
		"(default for a plain file: DEST.sha256).",
	"timeout_help": "Longest time without progress at the output (default: none; 10s for a write to a file on a " +
		"network).",
	"tmpdir_help": "Directory for the private copy (default: DEST's for a file that is not on a network, " +
		"else SQLite's).",

	"keep_going_help": "Run CMD even if databases could not be copied: they are absent then, " +
		"and the exit status is that of the worst of them.",
	"modes":        "Kind of checkpoint: passive, full, restart or truncate (default: passive).",
	"metrics_help": "Update last success, status and size in FILE, which must end in .prom, for Prometheus.",
	"shards_help":  "Keep the stream in DIR as files of SIZE, such as 64KiB: only those that change are written.",

	"stage_help": "Keep the copies in DIR: an unchanged database is not copied again " +
		"(default: a private directory that is removed).",

	"verify_check_help": "Also run SQLite's check: none, auto, quick or full " +
		"(default: none; auto with --query and --against).",
	"query_help": "Query the image with one SELECT; the first value of its first row must not be NULL, 0 or " +
		"empty. Repeatable.",

	"set_aside_help": "First rename an existing DB, with its -wal, -shm and -journal, to a dated name; " +
		"fails if a process has it open. The new DB gets its owner, mode and ACL.",
	"restore_check_help": "SQLite's check of the image: auto, quick or full (default: auto).",

	"state_help": "Remember in FILE, for one watch at a time, what CMD has succeeded for; without it, every " +
		"database counts as changed at the start.",
	"shard_help": "Watch only the databases of worker I of N, counted from 0 (default: from JOB_COMPLETION_INDEX " +
		"and JOB_COMPLETION_COUNT).",
}
