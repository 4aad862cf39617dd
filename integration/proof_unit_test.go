package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// The weekly proof in its sandbox: a backup gives its proof, and one that is not there leaves the
// time of the last.
func TestProofService(t *testing.T) {
	s := newSite(t)
	for _, name := range []string{"sqlite-checkpoint-proof@.service", "sqlite-checkpoint-proof@.timer"} {
		s.write(name, []byte(s.example(name)))
		instance := "./" + strings.Replace(name, "@", "@"+s.escaped(), 1)
		if o := s.finish(s.other(tool(t, "systemd-analyze"), "verify", instance)).exits(0); o.stdout+o.stderr != "" {
			t.Errorf("%s: %s%s", o.command, o.stdout, o.stderr)
		}
	}
	s.finish(s.other(tool(t, "systemd-analyze"), "security", "--no-pager", "--offline=true",
		fmt.Sprintf("--threshold=%d", maxExposure), "./sqlite-checkpoint-proof@.service")).exits(0)
	calendar := setting(t, s.example("sqlite-checkpoint-proof@.timer"), "OnCalendar")
	s.finish(s.other(tool(t, "systemd-analyze"), "calendar", calendar)).exits(0)

	unit, database := s.example("sqlite-checkpoint-proof@.service"), s.path("app/app.db")
	s.bash("restic backup --stdin-from-command --stdin-filename '" + database +
		"' -- sqlite-checkpoint backup app/app.db -").exits(0)
	s.bash(fmt.Sprintf("mkdir -p cache lib/sqlite-checkpoint; chown -R %d repository cache lib; chmod -R go= app",
		nobody)).exits(0)
	s.write("calls", nil)
	s.check(os.Chmod(s.path("calls"), 0o666))
	host, err := os.Hostname()
	s.check(err)
	instance := strings.NewReplacer("%f", database, "%i", s.escaped(), "%S", s.path("lib"), "%H", host,
		"${QUERY}", "SELECT count(*) FROM t")
	var words []string
	for _, word := range strings.Fields(setting(t, unit, "ExecStart")) {
		words = append(words, "'"+instance.Replace(word)+"'")
	}
	command := strings.Join(words, " ")
	run := func(command string) (report answer) {
		code := s.finish(s.other(s.sandboxed(unit, command)...)).code
		s.check(json.Unmarshal(s.read("lib/sqlite-checkpoint/proof-"+s.escaped()+".json"), &report))
		report.mustBe(t, answer{"code": code})
		return report
	}
	first := run(command)
	first.mustBe(t, answer{"ok": true, "checked": "full"})
	run(strings.Replace(command, "'latest' '"+database, "'latest' '/gone.db", 1)).mustBe(t,
		answer{"ok": false, "kind": "command_failed", "last_success": first["finished_at"]})
	s.mustNeedNoOtherCall()
}
