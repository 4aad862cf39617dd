package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Run one with: go test -run '^$' -bench Copy -cpuprofile cpu.prof ./engine

// benchDatabase makes a rollback-mode database of about 64 MB: three tables of 50, 30 and 20 % of
// the rows, five indexes.
func benchDatabase(b *testing.B) (path string, size int64) {
	b.Helper()
	const rows = 330_000
	path = filepath.Join(b.TempDir(), "bench.db")
	statements := []string{"PRAGMA synchronous=OFF; BEGIN;"}
	for i, percent := range []int{50, 30, 20} {
		statements = append(statements,
			fmt.Sprintf(`CREATE TABLE t%d (id INTEGER PRIMARY KEY, owner INTEGER, key TEXT, body TEXT);
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO t%[1]d SELECT i, i * 7919 %% 10007,
				printf('%%08x%%08x', i * 2654435761 %% 4294967296, i), printf('%%.*c', 20 + i * 31 %% 200, 'x') FROM n;
			CREATE INDEX t%[1]d_key ON t%[1]d (key);`, i, rows*percent/100))
	}
	sqlite(b, path, append(statements, "CREATE INDEX t0_owner ON t0 (owner); CREATE INDEX t1_owner ON t1 (owner);",
		"COMMIT;")...)
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	return path, info.Size()
}

func BenchmarkCopyPages(b *testing.B) {
	path, _ := benchDatabase(b)
	src, err := openSource("open", path)
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	p, err := src.beginRead(context.Background(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	for _, step := range []int{100, 0, 16384} {
		b.Run(fmt.Sprintf("step=%d", step), func(b *testing.B) {
			b.SetBytes(p.pages * p.pageSize)
			dst := filepath.Join(b.TempDir(), "image.db")
			for b.Loop() {
				f, err := os.Create(dst)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := copyPages(context.Background(), p, f, SnapshotOptions{PagesPerStep: step}); err != nil {
					b.Fatal(err)
				}
				f.Close()
			}
		})
	}
}

func BenchmarkCheckImage(b *testing.B) {
	path, size := benchDatabase(b)
	for _, check := range []Check{CheckQuick, CheckFull} {
		b.Run(string(check), func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				if _, _, err := checkImage(context.Background(), openFile(b, path), path, check, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkHashFile(b *testing.B) {
	path, size := benchDatabase(b)
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for b.Loop() {
		if _, err := hashFile(context.Background(), f, size); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSnapshotSmall takes a whole snapshot of a database so small that only the number of
// system calls matters.
func BenchmarkSnapshotSmall(b *testing.B) {
	path := filepath.Join(b.TempDir(), "small.db")
	sqlite(b, path, "CREATE TABLE t (a, b);", "INSERT INTO t VALUES (1, 2);")
	for b.Loop() {
		s, err := TakeSnapshot(context.Background(), path, SnapshotOptions{TempDir: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Hash(); err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}
