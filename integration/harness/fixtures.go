package harness

import (
	"fmt"
	"os"
	"strings"

	"github.com/mattn/go-sqlite3"
)

// NewDatabase creates a database with so many rows of a little over 300 bytes.
func (b *Bench) NewDatabase(name string, rows int) {
	b.Helper()
	b.SQLite(name, "CREATE TABLE t(id INTEGER PRIMARY KEY, x);",
		fmt.Sprintf("INSERT INTO t(x) SELECT randomblob(300) FROM generate_series(1, %d);", rows))
}

// NewCorrupt creates a database with zeroed pages, more than fit into a report.
func (b *Bench) NewCorrupt(name string) {
	b.Helper()
	b.NewDatabase(name, 2000)
	file, err := os.OpenFile(b.Path(name), os.O_WRONLY, 0)
	b.Check(err)
	defer file.Close()
	const pageSize = 4096
	for page := int64(20); page < 120; page += 3 {
		_, err := file.WriteAt(make([]byte, pageSize), page*pageSize)
		b.Check(err)
	}
}

// Collate gives a database an index that only an application with its own collation can use.
func (b *Bench) Collate(name string) {
	b.Helper()
	driver := &sqlite3.SQLiteDriver{ConnectHook: func(c *sqlite3.SQLiteConn) error {
		return c.RegisterCollation("LOCALIZED", func(x, y string) int {
			return strings.Compare(strings.ToLower(x),
				strings.ToLower(y))
		})
	}}
	conn, err := driver.Open("file:" + b.Path(name) + "?mode=rw")
	b.Check(err)
	defer conn.Close()
	_,
		err = conn.(*sqlite3.SQLiteConn).Exec("CREATE TABLE c(x COLLATE LOCALIZED); INSERT INTO c VALUES('b'),('A'); "+
		"CREATE INDEX j ON c(x)", nil)
	b.Check(err)
}
