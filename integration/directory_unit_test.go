package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/picture"
)

const directoryUnit = "sqlite-checkpoint-directory@.service"

// maxDirectoryExposure is maxExposure for a service that mounts as root.
const maxDirectoryExposure = 30

// The service's command with the service's capabilities alone, on read-only file systems, with the system calls that its
// filter refuses failing, backs an application's directory up; a second time nothing is copied.
func TestSystemdDirectoryService(t *testing.T) {
	s := newSite(t)
	unit := s.example(directoryUnit)
	s.write(directoryUnit, []byte(unit))
	s.check(os.MkdirAll(s.path("lib/sqlite-checkpoint"), 0o755))
	s.check(os.Mkdir(s.path("cache"), 0o755))
	s.check(os.WriteFile(s.path("app/file"), nil, 0o600))
	s.check(os.Chmod(s.path("app"), 0o750|os.ModeSetgid))
	s.bash(fmt.Sprintf("chown -R %d:%[1]d app", app)).exits(0)
	escaped := strings.TrimSpace(s.finish(s.other(tool(s, "systemd-escape"), "--path", s.path("app"))).exits(0).stdout)
	instance := "./" + strings.Replace(directoryUnit, "@", "@"+escaped, 1)
	if o := s.finish(s.other(tool(t, "systemd-analyze"), "verify", instance)).exits(0); o.stdout+o.stderr != "" {
		t.Errorf("%s: %s%s", o.command, o.stdout, o.stderr)
	}
	score := s.finish(s.other(tool(t, "systemd-analyze"), "security", "--no-pager", "--offline=true",
		fmt.Sprintf("--threshold=%d", maxDirectoryExposure), "./"+directoryUnit)).exits(0)
	lines := strings.Split(strings.TrimSpace(score.stdout), "\n")
	t.Log(lines[len(lines)-1])

	settle(t)
	before := picture.Take(t, s.path("app"))
	words := strings.NewReplacer("%f", s.path("app"), "%i", escaped, "%S", s.path("lib"))
	argv := strings.Fields(words.Replace(setting(t, unit, "ExecStart")))
	for range 2 {
		s.finish(s.other(append(s.rootSandbox(unit), argv...)...)).exits(0)
	}
	before.MustMatch(t, s.path("app"))
	if report := string(s.read("lib/sqlite-checkpoint/" + escaped + ".json")); !strings.Contains(report, `"unchanged":1`) {
		t.Errorf("the second run copied again: %s", report)
	}
	s.bash("restic restore latest --target back && sqlite-checkpoint verify back$PWD/app").exits(0)
	s.mustBeWhole("back" + s.path("app/app.db"))
	s.mustNeedNoOtherCall()
}

// rootSandbox is what runs a command as the service would, but for what only systemd can do.
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
	s.write("calls", nil)
	allowed := strings.Join(s.allowed(settings(unit, "SystemCallFilter")), ",?")
	return []string{
		tool(s, "unshare"), "--mount", "bash", "-euc", mounts, "bash",
		tool(s, "setpriv"), "--no-new-privs", "--bounding-set=" + capabilities,
		tool(s, "strace"), "-f", "-qq", "-A", "-o", s.path("calls"),
		"-e", "trace=!?" + allowed, "-e", "signal=none", "-e", "inject=!?" + allowed + ":error=EPERM",
	}
}
