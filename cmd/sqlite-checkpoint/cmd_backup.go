package main

import (
	"context"
	"time"
)

// A backupCmd is also part of a snapshotCmd.
type backupCmd struct {
	DB        string `arg:"" name:"db" help:"The database."`
	Dest      string `arg:"" name:"dest" help:"A new file, a directory, a named pipe, or - for stdout."`
	IfChanged bool   `help:"Make no copy if the newest one in the directory DEST is whole and has the same image."`

	Shards shardSize `placeholder:"SIZE" help:"${shards_help}"`
	streamFlags
}

func (*backupCmd) Help() string {
	return `DB may be in use, and is not changed. The copy is the database at one moment, including commits that are
still only in its write-ahead log. SQLite checks the copy before its first byte is sent.

A plain file DEST is the database itself, with its SHA-256 in DEST.sha256; with --zstd it is a compressed stream. A
stream ends with a trailer that proves it complete: verify and restore require it, SQLite ignores it. In a directory the
copy gets a dated name, such as app-20261123T101500Z.db, which list, prune and restore --at understand; DIR/ is created
if its parent exists.

--shards is for a large database that changes little, and for programs that read or send only the files that have
changed, such as restic, rsync and rclone. verify DIR and restore DIR read the shards.

  sqlite-checkpoint backup app.db copy.db
  sqlite-checkpoint backup app.db - | restic backup --stdin --stdin-filename /srv/app/app.db
  sqlite-checkpoint backup --zstd app.db - | ssh host 'cat > app.db.zst'
  sqlite-checkpoint backup --shards 64KiB app.db /backup/app && restic backup /backup/app`
}

// Run is the command.
func (cmd *backupCmd) Run(ctx context.Context, con *console) error {
	start := time.Now()
	j, err := cmd.job(con)
	if err != nil {
		return err
	}
	result, err := j.run(ctx)
	if err != nil {
		return err
	}
	result.Command, result.Elapsed = "backup", since(start)
	return con.show(&result)
}
