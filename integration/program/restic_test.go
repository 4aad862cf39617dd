package program

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// Both ways into restic, and back: Debian's, which reads stdin, and a current one, which starts the
// program.
var resticWays = []struct{ name, restic, backup string }{
	{"stdin", "restic",
		`sqlite-checkpoint snapshot --json app.db - 2>report | "$RESTIC" backup --stdin --stdin-filename app.db`},
	{"command", "bin/restic",
		`"$RESTIC" backup --stdin-filename app.db --stdin-from-command -- \
			sqlite-checkpoint snapshot --json --report report app.db - 2>&1`},
}

func TestRestic(t *testing.T) {
	for _, way := range resticWays {
		t.Run(way.name, func(t *testing.T) {
			b := harness.NewBench(t)
			t.Setenv("RESTIC", harness.Tool(t, way.restic))
			b.ResticRepository()
			w := harness.StartWriter(t, b.NewLedger("app.db", "WAL"), 0)
			before := b.Commits("app.db")
			b.Bash(way.backup).Exits(0)
			after := b.Commits("app.db")
			b.Bash(`"$RESTIC" dump latest app.db | sqlite-checkpoint restore - new.db`).Exits(0)
			b.Bash(`"$RESTIC" dump latest app.db | sqlite-checkpoint verify -`).Exits(0)
			b.Bash(`"$RESTIC" dump latest app.db >plain.db`).Exits(0)
			restored := b.Commits("new.db")
			if restored < before || restored > after {
				t.Errorf("%d commits in the copy; there were %d before the backup and %d after", restored, before,
					after)
			}
			if plain := b.Commits("plain.db"); plain != restored {
				t.Errorf("%d commits in the plain dump, %d in the restored database", plain, restored)
			}
			mustBeReported(b, "new.db")
			t.Logf("%d commits before, %d in the copy, %d after; %v", before, restored, after, w.Stop())
		})
	}
}

// mustBeReported compares a restored database with what the snapshot reported.
func mustBeReported(b *harness.Bench, name string) {
	b.Helper()
	lines := strings.Split(strings.TrimSpace(string(b.Read("report"))), "\n")
	var report harness.Answer
	b.Check(json.Unmarshal([]byte(lines[len(lines)-1]), &report))
	data := b.Read(name)
	report.At("backup").MustBe(b, harness.Answer{"size_bytes": len(data), "sha256": fmt.Sprintf("%x",
		sha256.Sum256(data))})
}

// A backup that fails leaves no snapshot behind if restic has started the program.
func TestResticFailure(t *testing.T) {
	b := harness.NewBench(t)
	t.Setenv("RESTIC", harness.Tool(t, "bin/restic"))
	b.ResticRepository()
	b.NewCorrupt("corrupt.db")
	b.SQLite("locked.db", "CREATE TABLE t(x);")
	b.Open("locked.db", "BEGIN EXCLUSIVE;")
	for _, db := range []string{"corrupt.db", "missing.db", "locked.db"} {
		for _, command := range []string{"backup", "snapshot"} {
			o := b.Bash(`"$RESTIC" backup --stdin-filename app.db --stdin-from-command -- sqlite-checkpoint ` +
				command + ` --busy-timeout 100ms ` + db + ` -`)
			if o.Code == 0 {
				t.Errorf("%s of %s: restic exits 0\n%s", command, db, o.Stderr)
			}
		}
	}
	var snapshots []any
	b.Check(json.Unmarshal([]byte(b.Bash(`"$RESTIC" snapshots --json`).Exits(0).Stdout), &snapshots))
	if len(snapshots) != 0 {
		t.Errorf("there are snapshots of what failed: %v", snapshots)
	}
}
