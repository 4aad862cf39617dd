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

func ExampleReadImage() {
	dir, db := newDatabase()
	defer os.RemoveAll(dir)
	backup, err := os.Open(db)
	if err != nil {
		log.Fatal(err)
	}
	defer backup.Close()

	image, err := engine.ReadImage(context.Background(), backup, "the backup", engine.VerifyOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer image.Close()
	answer, err := image.Query(context.Background(), "SELECT count(*) FROM t", 0)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Row[0], answer.Holds())
	_, err = image.Query(context.Background(), "DELETE FROM t", 0)
	fmt.Println(errors.Is(err, engine.KindBadQuery))
	// Output:
	// 1 true
	// true
}

func ExamplePredict() {
	dir, db := newDatabase()
	defer os.RemoveAll(dir)

	for _, name := range []string{db, filepath.Join(dir, "missing.db")} {
		prediction, err := engine.Predict(context.Background(), name, engine.SnapshotOptions{})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(filepath.Base(name), prediction.Err == nil, errors.Is(prediction.Err, engine.KindMissing))
	}
	// Output:
	// app.db true false
	// missing.db false true
}

func ExampleFindDatabases() {
	dir, _ := newDatabase()
	defer os.RemoveAll(dir)

	found, err := engine.FindDatabases(context.Background(), dir, engine.FindOptions{Exclude: []string{"cache"}})
	if err != nil {
		log.Fatal(err)
	}
	for _, database := range found.Databases {
		fmt.Println(filepath.Base(database))
	}
	// Output:
	// app.db
}

// A command that runs only when something was committed compares tokens.
func ExampleTakeToken() {
	dir, db := newDatabase()
	defer os.RemoveAll(dir)

	token, err := engine.TakeToken(db)
	if err != nil {
		log.Fatal(err)
	}
	// The database was created a moment ago, so its next change might not show in its times.
	fmt.Println(token.Doubt() == engine.DoubtRecent || token.Doubt() == engine.DoubtFilesystem)
	// Output:
	// true
}
