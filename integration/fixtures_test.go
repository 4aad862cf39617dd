package integration

import (
	"fmt"
	"os"
)

// newDatabase makes one of rows rows, a little over 300 bytes each.
func (b *bench) newDatabase(name string, rows int) {
	b.Helper()
	b.sqlite(name, "CREATE TABLE t(id INTEGER PRIMARY KEY, x);", fmt.Sprintf("INSERT INTO t(x) SELECT randomblob(300) FROM generate_series(1, %d);", rows))
}

// newCorrupt makes one with pages that hold nothing, more than there is room for in a report.
func (b *bench) newCorrupt(name string) {
	b.Helper()
	b.newDatabase(name, 2000)
	file, err := os.OpenFile(b.path(name), os.O_WRONLY, 0)
	b.check(err)
	defer file.Close()
	const pageSize = 4096
	for page := int64(20); page < 120; page += 3 {
		_, err := file.WriteAt(make([]byte, pageSize), page*pageSize)
		b.check(err)
	}
}
