package integration

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"testing"
)

// The same database gives the same bytes, in every form, be it in use or not.
func TestSnapshotsAreIdentical(t *testing.T) {
	b := newBench(t)
	b.newDatabase("app.db", 1000)
	live := b.open("app.db", "PRAGMA journal_mode=WAL;", "INSERT INTO t VALUES(NULL, 'in the WAL');")
	for _, form := range []string{"--no-progress", "--zstd"} {
		first := b.run("backup", form, "app.db", "-").exits(0).stdout
		if b.run("snapshot", form, "app.db", "-").exits(0).stdout != first {
			t.Errorf("%s: two streams of one database differ", form)
		}
		b.run("backup", form, "--no-sidecar", "app.db", "copy"+form).exits(0)
	}
	live.Close()
	b.run("backup", "--no-sidecar", "app.db", "again.db").exits(0)
	if !bytes.Equal(b.read("again.db"), b.read("copy--no-progress")) {
		t.Error("two copies of one database differ")
	}
}

// A copy, proven by us and by sha256sum, and brought back; and a copy whose digest is lost.
func TestFileRoundTrip(t *testing.T) {
	b := newBench(t)
	b.newDatabase("a.db", 1000)
	did := b.run("--json", "backup", "a.db", "b.db").exits(0).json()
	digest := fmt.Sprintf("%x", sha256.Sum256(b.read("b.db")))
	did.mustBe(t, answer{"size_bytes": len(b.read("b.db")), "sha256": digest, "stream_sha256": digest, "format": "image", "check": "quick"})
	b.run("--json", "verify", "b.db").exits(0).json().mustBe(t, answer{"sha256": digest, "proven": true})
	b.finish(b.other("sha256sum", "-c", "b.db.sha256")).exits(0)
	b.run("--json", "restore", "b.db", "c.db").exits(0).json().mustBe(t, answer{"sha256": digest, "proven": true, "checked": "quick"})
	if !bytes.Equal(b.read("b.db"), b.read("c.db")) {
		t.Error("c.db is not b.db")
	}
	b.check(os.Remove(b.path("b.db.sha256")))
	b.run("verify", "b.db").exits(8).silent().says("--sha256", "--sidecar", "--unproven")
	b.run("restore", "b.db", "d.db").exits(8)
	b.run("verify", "--sha256", digest, "b.db").exits(0)
	b.run("--json", "verify", "--unproven", "b.db").exits(0).json().mustBe(t, answer{"proven": false})
	if made := names(t, b.dir); !slices.Equal(made, []string{"a.db", "b.db", "c.db"}) {
		t.Errorf("files: %q", made)
	}
}
