package recipes

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// The weekly proof in its sandbox: a backup is proven, and a missing one leaves the time of the
// last success.
func TestProofService(t *testing.T) {
	s := newSite(t)
	s.mustBeUnits("sqlite-checkpoint-proof@")

	unit, database := s.example("sqlite-checkpoint-proof@.service"), s.Path("app/app.db")
	s.Bash("restic backup --stdin-from-command --stdin-filename '" + database +
		"' -- sqlite-checkpoint backup app/app.db -").Exits(0)
	s.Bash(fmt.Sprintf("mkdir -p cache lib/sqlite-checkpoint; chown -R %d repository cache lib; chmod -R go= app",
		harness.Nobody)).Exits(0)
	s.Write("calls", nil)
	s.Check(os.Chmod(s.Path("calls"), 0o666))
	host, err := os.Hostname()
	s.Check(err)
	instance := strings.NewReplacer("%f", database, "%i", s.escaped(), "%S", s.Path("lib"), "%H", host,
		"${QUERY}", "SELECT count(*) FROM t")
	var words []string
	for _, word := range strings.Fields(setting(t, unit, "ExecStart")) {
		words = append(words, "'"+instance.Replace(word)+"'")
	}
	command := strings.Join(words, " ")
	run := func(command string) (report harness.Answer) {
		code := s.Finish(s.Other(s.sandboxed(unit, command)...)).Code
		s.Check(json.Unmarshal(s.Read("lib/sqlite-checkpoint/proof-"+s.escaped()+".json"), &report))
		report.MustBe(t, harness.Answer{"code": code})
		return report
	}
	first := run(command)
	first.MustBe(t, harness.Answer{"ok": true, "checked": "full"})
	run(strings.Replace(command, "'latest' '"+database, "'latest' '/gone.db", 1)).MustBe(t,
		harness.Answer{"ok": false, "kind": "command_failed", "last_success": first["finished_at"]})
	s.mustNeedNoOtherCall()
}
