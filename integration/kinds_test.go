package integration

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/picture"
	"github.com/mattn/go-sqlite3"
)

// A kind of database, and what the check of its copy reaches.
type kind struct {
	name  string
	level string
	make  func(b *bench)
}

func kinds() []kind {
	list := []kind{
		{"auto_vacuum full", "quick", pragma("auto_vacuum=FULL")},
		{"auto_vacuum incremental", "quick", pragma("auto_vacuum=INCREMENTAL")},
		{"UTF-16le", "quick", pragma("encoding='UTF-16le'")},
		{"UTF-16be", "quick", pragma("encoding='UTF-16be'")},
		{"user_version and application_id", "quick", pragma("user_version=7; PRAGMA application_id=11")},
		{"FTS5", "quick", func(b *bench) {
			b.sqlite("app.db", "CREATE VIRTUAL TABLE f USING fts5(v); INSERT INTO f VALUES('hello world');", table)
		}},
		{"FTS5 with an unknown tokenizer", "structural", func(b *bench) {
			b.sqlite("app.db", "CREATE VIRTUAL TABLE f USING fts5(v, tokenize='porter'); INSERT INTO f VALUES('hello world');", table,
				"PRAGMA writable_schema=ON;", "UPDATE sqlite_schema SET sql = replace(sql, 'porter', 'klingon');")
		}},
		{"a missing collation", "structural", func(b *bench) {
			b.sqlite("app.db", table)
			b.collate("app.db")
		}},
	}
	for size := 512; size <= 65536; size *= 2 {
		list = append(list, kind{fmt.Sprintf("pages of %d bytes", size), "quick", pragma(fmt.Sprintf("page_size=%d", size))})
	}
	return list
}

const table = `CREATE TABLE t(id INTEGER PRIMARY KEY, x); INSERT INTO t(x) SELECT hex(randomblob(20)) FROM generate_series(1, 500); CREATE INDEX i ON t(x);`

func pragma(setting string) func(*bench) {
	return func(b *bench) { b.sqlite("app.db", "PRAGMA "+setting+";", table) }
}

// collate gives a database an index that only an application with its own collation can use.
func (b *bench) collate(name string) {
	b.Helper()
	driver := &sqlite3.SQLiteDriver{ConnectHook: func(c *sqlite3.SQLiteConn) error {
		return c.RegisterCollation("LOCALIZED", func(x, y string) int { return strings.Compare(strings.ToLower(x), strings.ToLower(y)) })
	}}
	conn, err := driver.Open("file:" + b.path(name) + "?mode=rw")
	b.check(err)
	defer conn.Close()
	_, err = conn.(*sqlite3.SQLiteConn).Exec("CREATE TABLE c(x COLLATE LOCALIZED); INSERT INTO c VALUES('b'),('A'); CREATE INDEX j ON c(x)", nil)
	b.check(err)
}

// Databases of every kind make the way there and back, and the result says how much of the check was possible.
func TestKindsOfDatabases(t *testing.T) {
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			b := newBench(t)
			k.make(b)
			o := b.run("--json", "backup", "app.db", "-").exits(0)
			did := o.stderrJSON()
			did.mustBe(t, answer{"check": k.level})
			if reason, told := did["check_reason"].(string); told != (k.level != "quick") || told && reason == "" {
				t.Errorf("level %s, reason %q", k.level, reason)
			}
			b.feed([]byte(o.stdout), "--json", "restore", "-", "new.db").exits(0).json().mustBe(t, answer{"checked": k.level, "check": k.level, "sha256": did["sha256"]})
			const facts = "SELECT sum(length(x)), max(x) FROM t; PRAGMA page_size; PRAGMA auto_vacuum; PRAGMA encoding; PRAGMA user_version; PRAGMA application_id;"
			if was, is := b.sqlite("app.db", facts), b.sqlite("new.db", facts); was != is {
				t.Errorf("was %q, is %q", was, is)
			}
			if k.level != "quick" {
				b.run("--json", "backup", "--check", "quick", "app.db", "-").exits(5).silent().says(`"kind":"check_incomplete"`)
			}
		})
	}
}

// stderrJSON is the result of a run whose stdout is the stream.
func (o outcome) stderrJSON() answer {
	o.Helper()
	o.stdout = ""
	return o.json()
}

// A corrupt database does not become a backup, unless it is asked for.
func TestCorruptSource(t *testing.T) {
	b := newBench(t)
	b.newCorrupt("app.db")
	before := picture.Take(t, b.path("app.db"))
	findings := b.run("--json", "backup", "app.db", "-").exits(5).silent().json()["findings"].([]any)
	if len(findings) == 0 || len(findings) > 10 {
		t.Errorf("%d findings: %q", len(findings), findings)
	}
	t.Logf("%d findings, the first: %v", len(findings), findings[0])
	b.run("backup", "app.db", "copy.db").exits(5).silent().says("finding: ", "--check none")
	b.run("snapshot", "app.db", "-").exits(5).silent()
	if made := names(t, b.dir); len(made) != 1 {
		t.Errorf("files: %q", made)
	}
	o := b.run("backup", "--check", "none", "app.db", "-").exits(0)
	image := b.read("app.db")
	if !bytes.Equal([]byte(o.stdout)[100:len(image)], image[100:]) {
		t.Error("--check none does not copy what is there")
	}
	b.feed([]byte(o.stdout), "verify", "-").exits(0)
	b.feed([]byte(o.stdout), "restore", "-", "new.db").exits(5)
	before.MustMatch(t, b.path("app.db"))
}
