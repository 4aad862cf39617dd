package integration

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Both ways into restic, and back: Debian's, which reads stdin, and a current one, which starts us.
var resticWays = []struct{ name, restic, backup string }{
	{"stdin", "restic", `sqlite-checkpoint snapshot --json app.db - 2>report | "$RESTIC" backup --stdin --stdin-filename app.db`},
	{"command", "bin/restic", `"$RESTIC" backup --stdin-filename app.db --stdin-from-command -- sqlite-checkpoint snapshot --json --report report app.db - 2>&1`},
}

func TestRestic(t *testing.T) {
	for _, way := range resticWays {
		t.Run(way.name, func(t *testing.T) {
			b := newBench(t)
			t.Setenv("RESTIC", tool(t, way.restic))
			b.bash(`"$RESTIC" init`).exits(0)
			w := startWriter(t, b.newLedger("app.db", "WAL"))
			before := b.commits("app.db")
			b.bash(way.backup).exits(0)
			after := b.commits("app.db")
			b.bash(`"$RESTIC" dump latest app.db | sqlite-checkpoint restore - new.db`).exits(0)
			b.bash(`"$RESTIC" dump latest app.db | sqlite-checkpoint verify -`).exits(0)
			b.bash(`"$RESTIC" dump latest app.db >plain.db`).exits(0)
			restored := b.commits("new.db")
			if restored < before || restored > after {
				t.Errorf("%d commits in the copy; there were %d before the backup and %d after", restored, before, after)
			}
			if plain := b.commits("plain.db"); plain != restored {
				t.Errorf("%d commits in the plain dump, %d in the restored database", plain, restored)
			}
			b.mustBeReported("new.db")
			t.Logf("%d commits before, %d in the copy, %d after; %v", before, restored, after, w.stop())
		})
	}
}

// mustBeReported compares a restored database with what the snapshot reported.
func (b *bench) mustBeReported(name string) {
	b.Helper()
	lines := strings.Split(strings.TrimSpace(string(b.read("report"))), "\n")
	var report answer
	b.check(json.Unmarshal([]byte(lines[len(lines)-1]), &report))
	data := b.read(name)
	report.at("backup").mustBe(b, answer{"size_bytes": len(data), "sha256": fmt.Sprintf("%x", sha256.Sum256(data))})
}

// A backup that fails leaves no snapshot behind, if restic started us.
func TestResticFailure(t *testing.T) {
	b := newBench(t)
	t.Setenv("RESTIC", tool(t, "bin/restic"))
	b.bash(`"$RESTIC" init`).exits(0)
	b.newCorrupt("corrupt.db")
	b.sqlite("locked.db", "CREATE TABLE t(x);")
	b.open("locked.db", "BEGIN EXCLUSIVE;")
	for _, db := range []string{"corrupt.db", "missing.db", "locked.db"} {
		for _, command := range []string{"backup", "snapshot"} {
			o := b.bash(`"$RESTIC" backup --stdin-filename app.db --stdin-from-command -- sqlite-checkpoint ` + command + ` --busy-timeout 100ms ` + db + ` -`)
			if o.code == 0 {
				t.Errorf("%s of %s: restic exits 0\n%s", command, db, o.stderr)
			}
		}
	}
	var snapshots []any
	b.check(json.Unmarshal([]byte(b.bash(`"$RESTIC" snapshots --json`).exits(0).stdout), &snapshots))
	if len(snapshots) != 0 {
		t.Errorf("there are snapshots of what failed: %v", snapshots)
	}
}
