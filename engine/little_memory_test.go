package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/internal/osfile"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// hotReader is the role of an application that takes snapshots itself, with little memory.
const hotReader = "hot reader"

// hotOrder is what it does.
type hotOrder struct{ DB, Hot, Cgroup string }

// readHot fails if a snapshot evicts pages that have been read twice.
func readHot(argument string) error {
	var o hotOrder
	if err := json.Unmarshal([]byte(argument), &o); err != nil {
		return err
	}
	if err := os.WriteFile(o.Cgroup, []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
		return err
	}
	f, err := os.Open(o.Hot)
	if err != nil {
		return err
	}
	defer f.Close()
	for range 2 {
		if _, err := io.Copy(io.Discard, io.NewSectionReader(f, 0, 1<<40)); err != nil {
			return err
		}
	}
	before, _ := osfile.Cached(f, osfile.Extent{})
	s, err := TakeSnapshot(context.Background(), o.DB, SnapshotOptions{TempDir: filepath.Dir(o.DB)})
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := s.SHA256(); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, s); err != nil {
		return err
	}
	if after, _ := osfile.Cached(f, osfile.Extent{}); after < before*9/10 {
		return fmt.Errorf("of %d MiB that were cached, %d are left", before>>20, after>>20)
	}
	testkit.Ready()
	return nil
}

// TestSnapshotWithLittleMemory: where there is no room for a copy, it does not evict pages of
// others. In rollback mode that depends on the disk, because writers wait for the copy.
func TestSnapshotWithLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 300 MB")
	}
	g, err := testkit.NewCgroup(200 << 20)
	if err != nil {
		t.Skipf("no cgroup: %v", err)
	}
	t.Cleanup(g.Remove)
	db, hot := newWAL(t), filepath.Join(t.TempDir(), "hot")
	sqlite(t, db, "CREATE TABLE big (b); INSERT INTO big SELECT zeroblob(4000) "+
		"FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT 70000) SELECT i FROM n);")
	writeFile(t, hot, make([]byte, 64<<20))
	for _, name := range []string{db, hot} { // a page counts against the cgroup that reads it first
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		f.Sync()
		osfile.Drop(f, osfile.Extent{})
		f.Close()
	}
	order, err := json.Marshal(hotOrder{db, hot, g.Processes()})
	if err != nil {
		t.Fatal(err)
	}
	testkit.StartRole(t, hotReader, string(order))
}
