package program

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// The same database gives the same bytes, in every form, in use or not.
func TestSnapshotsAreIdentical(t *testing.T) {
	b := harness.NewBench(t)
	b.NewDatabase("app.db", 1000)
	live := b.Open("app.db", "PRAGMA journal_mode=WAL;", "INSERT INTO t VALUES(NULL, 'in the WAL');")
	for _, form := range []string{"--no-progress", "--zstd"} {
		first := b.Run("backup", form, "app.db", "-").Exits(0).Stdout
		if b.Run("snapshot", form, "app.db", "-").Exits(0).Stdout != first {
			t.Errorf("%s: two streams of one database differ", form)
		}
		b.Run("backup", form, "--no-sidecar", "app.db", "copy"+form).Exits(0)
	}
	live.Close()
	b.Run("backup", "--no-sidecar", "app.db", "again.db").Exits(0)
	if !bytes.Equal(b.Read("again.db"), b.Read("copy--no-progress")) {
		t.Error("two copies of one database differ")
	}
}

// A copy is proven by verify and by sha256sum, and restored; so is a copy whose digest is lost.
func TestFileRoundTrip(t *testing.T) {
	b := harness.NewBench(t)
	b.NewDatabase("a.db", 1000)
	did := b.Run("--json", "backup", "a.db", "b.db").Exits(0).JSON()
	digest := fmt.Sprintf("%x", sha256.Sum256(b.Read("b.db")))
	did.MustBe(t, harness.Answer{"size_bytes": len(b.Read("b.db")), "sha256": digest, "stream_sha256": digest,
		"format": "image", "check": "quick"})
	b.Run("--json", "verify", "b.db").Exits(0).JSON().MustBe(t, harness.Answer{"sha256": digest, "proven": true})
	b.Finish(b.Other("sha256sum", "-c", "b.db.sha256")).Exits(0)
	b.Run("--json", "restore", "b.db", "c.db").Exits(0).JSON().MustBe(t, harness.Answer{"sha256": digest,
		"proven": true, "checked": "quick"})
	if !bytes.Equal(b.Read("b.db"), b.Read("c.db")) {
		t.Error("c.db is not b.db")
	}
	b.Check(os.Remove(b.Path("b.db.sha256")))
	b.Run("verify", "b.db").Exits(8).Silent().Says("--sha256", "--sidecar", "--unproven")
	b.Run("restore", "b.db", "d.db").Exits(8)
	b.Run("verify", "--sha256", digest, "b.db").Exits(0)
	b.Run("--json", "verify", "--unproven", "b.db").Exits(0).JSON().MustBe(t, harness.Answer{"proven": false})
	if made := harness.Names(t, b.Dir); !slices.Equal(made, []string{"a.db", "b.db", "c.db"}) {
		t.Errorf("files: %q", made)
	}
}
