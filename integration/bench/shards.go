package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// A depot is a database, its shards if there are any, and a restic repository.
type depot struct {
	program, db, shards, repository string
	pieces                          string // of the shards; empty for a raw stream
}

// change updates 300 sessions, and inserts 20,000 events, whose keys follow all others: what an
// application does between two backups. It changes 3.4 MB of the pages of 250 MB.
const change = `
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 300)
UPDATE session SET body = upper(body) WHERE id IN (SELECT i * 2654435761 % (SELECT max(id) FROM session) FROM c);
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 20000)
INSERT INTO event SELECT NULL, 1800000000000 + i, 1000000000, printf('~%016x', i), 'word word ' FROM c;`

// growth measures what a restic repository grows by after a change of the database, and what is
// written after none.
func (b *bench) growth(db string, size int64) error {
	var figures []figure
	for _, v := range []struct {
		pieces string
		limit  float64 // MB
	}{{"", 0}, {"64KiB", 9.5}, {"16KiB", 5}} {
		d := depot{b.program, b.path("tmp/depot/app.db"), b.path("tmp/depot/shards"), b.path("tmp/depot/repository"),
			v.pieces}
		grown, again, err := d.grow(db)
		if err != nil {
			return fmt.Errorf("shards: %w", err)
		}
		what := "raw stream"
		if v.pieces != "" {
			what = "shards of " + v.pieces
			figures = append(figures, figure{What: what + ", written if nothing has changed, bytes",
				Values: []float64{float64(again)}})
		}
		figures = append(figures, figure{What: what + ", growth of restic's repository, MB", Limit: v.limit,
			Values: []float64{float64(grown) / 1e6}})
	}
	return b.out.put(size, "shards", figures...)
}

// grow backs a copy of the database up twice, and changes it in between.
func (d depot) grow(db string) (grown, again int64, err error) {
	dir := filepath.Dir(d.db)
	defer os.RemoveAll(dir)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return 0, 0, err
	}
	for _, step := range []func() error{
		func() error { return d.do("cp", db, d.db) },
		func() error { return d.restic("init") },
		d.backUp,
		func() error { grown = -bytesIn(d.repository); return d.do("sqlite3", d.db, change) },
		d.backUp,
		func() error { grown += bytesIn(d.repository); again, err = d.cut(); return err },
	} {
		if err := step(); err != nil {
			return 0, 0, err
		}
	}
	return grown, again, nil
}

// backUp stores the database in the repository.
func (d depot) backUp() error {
	if d.pieces == "" {
		return d.restic("backup", "--stdin-filename", "app.db", "--stdin-from-command", "--", d.program, "backup", "-q",
			d.db, "-")
	}
	if _, err := d.cut(); err != nil {
		return err
	}
	return d.restic("backup", d.shards)
}

// cut brings the shards up to date, and tells how many bytes of them it has written.
func (d depot) cut() (written int64, err error) {
	if d.pieces == "" {
		return 0, nil
	}
	out, err := exec.Command(d.program, "backup", "--json", "--shards", d.pieces, d.db, d.shards).Output()
	if err != nil {
		return 0, fmt.Errorf("%w\n%s", err, out)
	}
	var report struct {
		Shards struct {
			Written int64 `json:"written_bytes"`
		}
	}
	return report.Shards.Written, json.Unmarshal(out, &report)
}

func (d depot) restic(args ...string) error {
	return d.do("env", append([]string{"RESTIC_PASSWORD=x", "bin/restic", "-q", "--no-cache", "-r", d.repository},
		args...)...)
}

func (d depot) do(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// bytesIn adds up the sizes of all files in a directory.
func bytesIn(dir string) (total int64) {
	filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total
}
