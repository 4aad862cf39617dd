package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/mattn/go-sqlite3"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

// newDatabase makes a database of two pages in a new directory.
func newDatabase() (dir, db string) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	db = filepath.Join(dir, "app.db")
	conn, err := (&sqlite3.SQLiteDriver{}).Open(db)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.(*sqlite3.SQLiteConn).Exec("CREATE TABLE t(x); INSERT INTO t VALUES(1)", nil); err != nil {
		log.Fatal(err)
	}
	return dir, db
}

func ExampleTakeSnapshot() {
	dir, db := newDatabase()
	defer os.RemoveAll(dir)

	snap, err := engine.TakeSnapshot(context.Background(), db, engine.SnapshotOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer snap.Close()
	var image bytes.Buffer
	if _, err := io.Copy(&image, snap); err != nil {
		log.Fatal(err)
	}
	info := snap.Info()
	fmt.Println(info.PageCount, "pages, check:", info.Level)
	fmt.Println(int64(image.Len()) == info.Size)
	// Output:
	// 2 pages, check: quick
	// true
}

func ExampleInstall() {
	dir, db := newDatabase()
	defer os.RemoveAll(dir)
	image, err := os.Open(db)
	if err != nil {
		log.Fatal(err)
	}
	defer image.Close()

	did, err := engine.Install(context.Background(), image, filepath.Join(dir, "restored.db"), engine.InstallOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(did.PageCount, "pages, check:", did.Level)

	// Nothing is ever replaced.
	_, err = engine.Install(context.Background(), image, filepath.Join(dir, "restored.db"), engine.InstallOptions{})
	fmt.Println(errors.Is(err, engine.KindExists))
	// Output:
	// 2 pages, check: quick
	// true
}

func ExampleInspect() {
	dir, db := newDatabase()
	defer os.RemoveAll(dir)

	in, err := engine.Inspect(context.Background(), db)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("journal mode:", in.JournalMode)
	fmt.Println("pages:", in.PageCount)
	fmt.Println("a backup would be", in.Backup)
	// Output:
	// journal mode: delete
	// pages: 2
	// a backup would be read_only
}
