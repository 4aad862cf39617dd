package recipes

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// Each of these files says how it was checked.
func TestSchedulersSayWhatWasChecked(t *testing.T) {
	for _, name := range []string{
		"sqlite-checkpoint@.service", "sqlite-checkpoint@.timer", "crontab", "sqlite-checkpoint-copies@.service",
		"sqlite-checkpoint-copies@.timer", "crontab-copies", "Dockerfile", "kubernetes-cronjob.yaml",
		"kubernetes-sidecar.yaml", "sqlite-checkpoint-watch.service", directoryUnit, "kubernetes-directory.yaml",
		"sqlite-checkpoint-proof@.service", "sqlite-checkpoint-proof@.timer", "alerts.yaml",
		"docker-compose.yaml", "kubernetes-daemonset.yaml", "kubernetes-indexed-job.yaml",
		"sqlite-checkpoint.nomad.hcl",
		"autorestic.yaml", "backrest-hook", "borgmatic.yaml", "resticprofile.yaml",
	} {
		data, err := os.ReadFile("../examples/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, words := range []string{"# Checked by: ", "# Not run by the tests: "} {
			if !strings.Contains(string(data), "\n"+words) {
				t.Errorf("%s has no line %q", name, words)
			}
		}
	}
}

// maxExposure is the highest acceptable score of systemd-analyze security, in tenths: 0 is a
// service that can do nothing, 100 one that can do everything. What remains is the network, which
// most repositories need, and the right to read every file.
const maxExposure = 18

func TestSystemdUnits(t *testing.T) {
	s := newSite(t)
	s.mustBeUnits("sqlite-checkpoint@")
	s.exposure("sqlite-checkpoint@.service", 1).Exits(1)
}

// Writers to a database in rollback mode wait while it is copied, so no service copies it at a low
// priority. The program itself lowers its priority where nobody waits for it.
func TestServicesKeepTheirPriority(t *testing.T) {
	services, err := filepath.Glob("../examples/*.service")
	if err != nil || len(services) < 5 {
		t.Fatalf("found %q: %v", services, err)
	}
	for _, service := range services {
		unit, err := os.ReadFile(service)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"Nice", "IOSchedulingClass", "IOSchedulingPriority", "CPUSchedulingPolicy"} {
			if values := settings(string(unit), name); len(values) > 0 {
				t.Errorf("%s: %s=%s", service, name, values[0])
			}
		}
	}
}

// mustBeUnits checks that systemd accepts a service and its timer, for the site's database, and
// that the service has no more rights than it needs.
func (s *site) mustBeUnits(name string) {
	s.Helper()
	for _, unit := range []string{name + ".service", name + ".timer"} {
		s.Write(unit, []byte(s.example(unit)))
		s.mustVerify(strings.Replace(unit, "@", "@"+s.escaped(), 1))
	}
	score := s.exposure(name+".service", maxExposure).Exits(0)
	lines := strings.Split(strings.TrimSpace(score.Stdout), "\n")
	s.Log(lines[len(lines)-1])
	s.analyze("calendar", setting(s, s.example(name+".timer"), "OnCalendar")).Exits(0)
}

func (s *site) analyze(args ...string) harness.Outcome {
	s.Helper()
	return s.Finish(s.Other(append([]string{harness.Tool(s, "systemd-analyze")}, args...)...))
}

// mustVerify checks that systemd finds nothing wrong with a unit.
func (s *site) mustVerify(unit string) {
	s.Helper()
	if o := s.analyze("verify", "./"+unit).Exits(0); o.Stdout+o.Stderr != "" {
		s.Errorf("%s: %s%s", o.Command, o.Stdout, o.Stderr)
	}
}

// exposure fails if the score of a service is above a limit.
func (s *site) exposure(service string, limit int) harness.Outcome {
	s.Helper()
	return s.analyze("security", "--no-pager", "--offline=true", fmt.Sprintf("--threshold=%d", limit), "./"+service)
}

// escaped returns the instance of the units for the site's database.
func (s *site) escaped() string {
	s.Helper()
	return strings.TrimSpace(s.Finish(s.Other(harness.Tool(s, "systemd-escape"), "--path",
		s.Path("app/app.db"))).Exits(0).Stdout)
}

// setting returns the value of a setting that a unit has once.
func setting(t testing.TB, unit, name string) string {
	t.Helper()
	values := settings(unit, name)
	if len(values) != 1 {
		t.Fatalf("%d lines %s=, want 1", len(values), name)
	}
	return values[0]
}

func settings(unit, name string) (values []string) {
	for _, match := range regexp.MustCompile(`(?m)^`+name+`=(.*)$`).FindAllStringSubmatch(unit, -1) {
		values = append(values, match[1])
	}
	return values
}

// The service's command in a sandbox like the service's: nobody, with the one capability, on
// read-only file systems, and system calls that its filter refuses fail. The database belongs to
// the application, which lets no one else read it.
func TestSystemdService(t *testing.T) {
	s := newSite(t)
	unit := s.example("sqlite-checkpoint@.service")
	s.Check(os.MkdirAll(s.Path("lib/sqlite-checkpoint"), 0o755))
	s.Bash(fmt.Sprintf("mkdir -p cache && chown -R %d repository cache lib && chown -R %d app && chmod -R go= app",
		harness.Nobody, harness.App)).Exits(0)
	s.Write("calls", nil)
	s.Check(os.Chmod(s.Path("calls"), 0o666))
	instance := strings.NewReplacer("%f", s.Path("app/app.db"), "%i", s.escaped(), "%S", s.Path("lib"))
	var words []string
	for _, word := range strings.Fields(setting(t, unit, "ExecStart")) {
		words = append(words, "'"+instance.Replace(word)+"'")
	}
	before := testkit.TakePicture(t, s.Path("app"))
	s.mustBackUp(s.Path("app/app.db"), strings.Join(words, " "), func(command string) harness.Outcome {
		o := s.Finish(s.Other(s.sandboxed(unit, command)...))
		o.Command = command // not hundreds of system calls
		return o
	})
	before.MustMatch(t, s.Path("app"))
	var report harness.Answer
	s.Check(json.Unmarshal(s.Read("lib/sqlite-checkpoint/"+s.escaped()+".json"), &report))
	report.MustBe(t, harness.Answer{"kind": "missing"}) // of the second run, which found no database
	s.mustNeedNoOtherCall()
	s.Finish(s.Other(s.sandboxed(unit, "renice -n 5 -p $$")...)).Exits(1) // the sandbox is one
}

// sandboxed returns a command line that runs a command as the service would.
func (s *site) sandboxed(unit, command string) []string {
	s.Helper()
	settled := map[string]string{"NoNewPrivileges": "yes", "ProtectSystem": "strict", "SystemCallErrorNumber": "EPERM"}
	capability := "-all"
	if setting(s, unit, "CapabilityBoundingSet") != "" {
		capability += ",+dac_read_search"
		maps.Copy(settled, map[string]string{
			"AmbientCapabilities": "CAP_DAC_READ_SEARCH", "CapabilityBoundingSet": "CAP_DAC_READ_SEARCH",
			"SecureBits": "no-setuid-fixup",
		})
	}
	for name, value := range settled {
		if is := setting(s, unit, name); is != value {
			s.Fatalf("%s=%s, but the test does what %s would do", name, is, value)
		}
	}
	mounts := `for dir in repository cache lib "$TMPDIR" calls; do mount --bind "$dir" "$dir"; done
mount --bind app app; mount -o remount,bind,ro app; mount -o remount,bind,ro /; ! touch app/x 2>/dev/null; exec "$@"`
	allowed := s.allowed(settings(unit, "SystemCallFilter"))
	seen := slices.DeleteFunc(slices.Clone(allowed), func(call string) bool {
		return call == "mmap" ||
			call == "mprotect"
	})
	return []string{
		harness.Tool(s, "unshare"), "--mount", "bash", "-euc", mounts, "bash",
		harness.Tool(s, "setpriv"), fmt.Sprint("--reuid=", harness.Nobody), fmt.Sprint("--regid=", harness.Nobody),
		"--clear-groups", "--no-new-privs",
		"--securebits=+no_setuid_fixup", "--bounding-set=" + capability, "--inh-caps=" + capability, "--ambient-caps=" +
			capability,
		harness.Tool(s, "strace"), "-f", "-qq", "-A", "-o", s.Path("calls"),
		"-e", "trace=!?" + strings.Join(seen, ",?"), "-e", "signal=none", "-e", "inject=!?" +
			strings.Join(allowed, ",?") + ":error=EPERM",
		"sh", "-c", "exec " + command,
	}
}

// allowed returns the system calls that filters allow; later filters change earlier ones.
func (s *site) allowed(filters []string) []string {
	s.Helper()
	calls := s.group("@default") // always allowed
	for _, filter := range filters {
		groups, denied := strings.CutPrefix(filter, "~")
		for _, group := range strings.Fields(groups) {
			members := s.group(group)
			if denied {
				calls = slices.DeleteFunc(calls, func(call string) bool { return slices.Contains(members, call) })
			} else {
				calls = append(calls, members...)
			}
		}
	}
	return calls
}

// group expands one of systemd's sets of system calls.
func (s *site) group(name string) (calls []string) {
	s.Helper()
	list := s.Finish(exec.Command(harness.Tool(s, "systemd-analyze"), "--no-pager", "syscall-filter",
		name)).Exits(0).Stdout
	for line := range strings.Lines(list) {
		switch call := strings.TrimSpace(line); {
		case !strings.HasPrefix(line, "    ") || strings.HasPrefix(call, "#"):
		case strings.HasPrefix(call, "@"):
			calls = append(calls, s.group(call)...)
		default:
			calls = append(calls, call)
		}
	}
	if len(calls) == 0 {
		s.Fatalf("systemd-analyze knows no %s", name)
	}
	return calls
}

// mustNeedNoOtherCall checks the trace: it logs the refused calls, and fails if memory should be
// executable and writable, which MemoryDenyWriteExecute= would refuse.
func (s *site) mustNeedNoOtherCall() {
	s.Helper()
	refused := map[string]int{}
	for line := range strings.Lines(testkit.WholeCalls(string(s.Read("calls")))) {
		if match := regexp.MustCompile(`(\w+)\(.*\(INJECTED\)`).FindStringSubmatch(line); match != nil {
			refused[match[1]]++
		}
		if strings.Contains(line, "PROT_WRITE|PROT_EXEC") || strings.Contains(line, "mprotect(") &&
			strings.Contains(line, "PROT_EXEC") {
			s.Errorf("executable memory: %s", line)
		}
	}
	s.Logf("calls that the filter refused, and that were not needed: %v", refused)
}

// Every line, as cron runs it, is silent if it succeeds, and only then.
func TestCrontab(t *testing.T) {
	s := newSite(t)
	env, jobs := s.crontab("crontab")
	if len(jobs) != 1 {
		t.Fatalf("%d lines run, want 1", len(jobs))
	}
	s.mustBackUp(s.Path("app/app.db"), jobs[0], func(command string) harness.Outcome { return s.cron(env, command) })
}

// crontab returns the environment and the commands of a crontab.
func (s *site) crontab(name string) (env, jobs []string) {
	s.Helper()
	variable, job := regexp.MustCompile(`^[A-Z_]+=`), regexp.MustCompile(`^(?:[0-9*/,-]+ ){5}(.*)$`)
	env = []string{"HOME=" + s.Path("home"), "LOGNAME=root", "SHELL=/bin/sh"}
	for line := range strings.Lines(s.example(name)) {
		line = strings.TrimSuffix(line, "\n")
		match := job.FindStringSubmatch(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case variable.MatchString(line):
			env = append(env, line)
		case match == nil || strings.Contains(match[1], "%"):
			s.Errorf("%s: what is %q?", name, line)
		default:
			jobs = append(jobs, match[1])
		}
	}
	return env, jobs
}

func (s *site) cron(env []string, command string) harness.Outcome {
	s.Helper()
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Dir, cmd.Env = "/", env
	o := s.Finish(cmd)
	if o.Code == 0 && o.Stdout+o.Stderr != "" {
		s.Errorf("%s: cron would send mail: %s%s", command, o.Stdout, o.Stderr)
	}
	return o
}
