package recipes

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

const directoryUnit = "sqlite-checkpoint-directory@.service"

// maxDirectoryExposure is maxExposure for a service that mounts as root.
const maxDirectoryExposure = 30

// The service's command with the service's capabilities alone, on read-only file systems, with the
// system calls that its filter refuses failing, backs up an application's directory; the second
// time nothing is copied.
func TestSystemdDirectoryService(t *testing.T) {
	s := newSite(t)
	unit := s.example(directoryUnit)
	s.Write(directoryUnit, []byte(unit))
	s.Check(os.MkdirAll(s.Path("lib/sqlite-checkpoint"), 0o755))
	s.Check(os.Mkdir(s.Path("cache"), 0o755))
	s.Check(os.WriteFile(s.Path("app/file"), nil, 0o600))
	s.Check(os.Chmod(s.Path("app"), 0o750|os.ModeSetgid))
	s.Bash(fmt.Sprintf("chown -R %d:%[1]d app", harness.App)).Exits(0)
	escaped := strings.TrimSpace(s.Finish(s.Other(harness.Tool(s, "systemd-escape"), "--path",
		s.Path("app"))).Exits(0).Stdout)
	s.mustVerify(strings.Replace(directoryUnit, "@", "@"+escaped, 1))
	score := s.exposure(directoryUnit, maxDirectoryExposure).Exits(0)
	lines := strings.Split(strings.TrimSpace(score.Stdout), "\n")
	t.Log(lines[len(lines)-1])

	harness.Settle(t)
	before := testkit.TakePicture(t, s.Path("app"))
	words := strings.NewReplacer("%f", s.Path("app"), "%i", escaped, "%S", s.Path("lib"))
	argv := strings.Fields(words.Replace(setting(t, unit, "ExecStart")))
	for range 2 {
		s.Finish(s.Other(append(s.rootSandbox(unit), argv...)...)).Exits(0)
	}
	before.MustMatch(t, s.Path("app"))
	if report := string(s.Read("lib/sqlite-checkpoint/" + escaped + ".json")); !strings.Contains(report,
		`"unchanged":1`) {
		t.Errorf("the second run copied again: %s", report)
	}
	s.Bash("restic restore latest --target back && sqlite-checkpoint verify back$PWD/app").Exits(0)
	s.mustBeWhole("back" + s.Path("app/app.db"))
	s.mustNeedNoOtherCall()
}

// rootSandbox returns a command line that runs a command as the service would, except for what only
// systemd can do.
func (s *site) rootSandbox(unit string) []string {
	s.Helper()
	for name, value := range map[string]string{
		"NoNewPrivileges": "yes", "ProtectSystem": "strict", "SystemCallErrorNumber": "EPERM",
	} {
		if is := setting(s, unit, name); is != value {
			s.Fatalf("%s=%s, but the test does what %s would do", name, is, value)
		}
	}
	capabilities := "-all"
	for name := range strings.FieldsSeq(setting(s, unit, "CapabilityBoundingSet")) {
		capabilities += ",+" + strings.ToLower(strings.TrimPrefix(name, "CAP_"))
	}
	mounts := `for dir in repository cache lib "$TMPDIR" calls; do mount --bind "$dir" "$dir"; done
mount --bind app app; mount -o remount,bind,ro app; mount -o remount,bind,ro /; ! touch app/x 2>/dev/null; exec "$@"`
	s.Write("calls", nil)
	allowed := strings.Join(s.allowed(settings(unit, "SystemCallFilter")), ",?")
	return []string{
		harness.Tool(s, "unshare"), "--mount", "bash", "-euc", mounts, "bash",
		harness.Tool(s, "setpriv"), "--no-new-privs", "--bounding-set=" + capabilities,
		harness.Tool(s, "strace"), "-f", "-qq", "-A", "-o", s.Path("calls"),
		"-e", "trace=!?" + allowed, "-e", "signal=none", "-e", "inject=!?" + allowed + ":error=EPERM",
	}
}
