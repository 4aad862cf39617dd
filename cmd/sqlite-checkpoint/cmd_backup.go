package main

import (
	"context"
	"time"
)

// A backupCmd is also the second half of a snapshotCmd.
type backupCmd struct {
	DB        string `arg:"" name:"db" help:"The database."`
	Dest      string `arg:"" name:"dest" help:"A new file, a directory, a named pipe, or - for stdout."`
	IfChanged bool   `help:"Make no copy if the newest one in the directory DEST is whole and has the same image."`
	streamFlags
}

func (*backupCmd) Help() string {
	return `DB is not changed, and may be in use: it is copied as it is at one moment, commits that are only in its
write-ahead log included. The copy is checked before the first byte of it is emitted.

A plain file is the database itself, with its SHA-256 in DEST.sha256 beside it. A stream has a trailer that proves it
complete, which verify and restore demand and SQLite ignores. In a directory the copy gets a dated name, such as
app-20261123T101500Z.db; list, prune and restore --at know these.

  sqlite-checkpoint backup app.db - | restic backup --stdin --stdin-filename app.db
  sqlite-checkpoint backup --zstd app.db - | ssh host 'cat > app.db.zst'`
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
