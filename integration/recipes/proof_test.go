package recipes

import (
	"encoding/json"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// How to prove what a recipe has stored, by the name of the recipe.
var proofs = map[string][]string{
	"restic/command":           {"proof.sh", "restic", "app.db", "report"},
	"restic/stdin, an old one": {"proof.sh", "restic", "app.db", "report"},
	"borg/command":             {"proof.sh", "borg", "app.db", "a", "report"},
	"rclone":                   {"proof.sh", "rclone", "here:out/a.db", "report"},
	"ssh":                      {"proof.sh", "ssh", "far.db.zst", "report"},
	"disk":                     {"proof.sh", "disk", "out/a.db", "report"},
	"disk, compressed":         {"proof.sh", "disk", "out/a.zst", "report"},
}

// A backup is proven while it is recent enough, and the report says when that was last the case.
func TestProofRecipes(t *testing.T) {
	proven := 0
	for _, r := range recipes {
		argv, found := proofs[r.name]
		if !found {
			continue
		}
		proven++
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			s := newRecipe(t, r)
			s.set("AGAINST", "app.db")
			s.set("QUERY", "SELECT count(*) > 100 FROM t")
			s.do(s.expand(r.backup)...)
			s.do(argv...)
			first := s.reported()
			first.MustBe(t, harness.Answer{"ok": true, "checked": "full", "proven": true})
			if took, ok := first["restore_ms"].(float64); !ok || took <= 0 {
				t.Errorf("time to restore: %v", first["restore_ms"])
			}
			s.SQLite("app.db", "INSERT INTO t(x) SELECT 'later' FROM generate_series(1, 2000);")
			if code, stdout, stderr := s.try(argv...); code != 8 {
				t.Errorf("exit status %d\n%s%s", code, stdout, stderr)
			}
			s.reported().MustBe(t, harness.Answer{"ok": false, "kind": "differs", "last_success": first["finished_at"]})
		})
	}
	if proven != len(proofs) {
		t.Errorf("%d recipes, want %d", proven, len(proofs))
	}
}

func (s *store) reported() (report harness.Answer) {
	s.Helper()
	s.Check(json.Unmarshal(s.Read("report"), &report))
	return report
}
