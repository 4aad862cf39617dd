package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/picture"
)

// mustKeepCopies runs the commands of an example for dated copies: one copy while nothing changes,
// two after a commit, and a failure that is told if a copy is damaged or there is no database.
func (s *site) mustKeepCopies(dir string, jobs []string, run func(command string) outcome) {
	s.Helper()
	if len(jobs) != 2 {
		s.Fatalf("%d commands, want 2: %q", len(jobs), jobs)
	}
	twice := append(jobs, jobs...)
	for want := range 2 {
		for _, command := range twice {
			run(command).exits(0)
		}
		if found := s.proven(dir); len(found) != want+1 {
			s.Errorf("%d copies, want %d: %q", len(found), want+1, found)
		}
		s.run("restore", "--at", "latest", dir, fmt.Sprint("back", want, ".db")).exits(0)
		s.live.run("INSERT INTO t VALUES(NULL, 'one more');")
	}
	s.mustBeWhole("back0.db")
	if o := run(s.broken(jobs[0])); o.code != 3 || o.stderr == "" {
		s.Errorf("%s: exit status %d\n%s", o.command, o.code, o.stderr)
	}
	s.poke(dir+"/"+s.proven(dir)[1], 100, "x")
	if o := run(jobs[1]); o.code != 8 || o.stderr == "" {
		s.Errorf("%s: exit status %d\n%s", o.command, o.code, o.stderr)
	}
}

func TestCopiesCrontab(t *testing.T) {
	s := newSite(t)
	s.check(os.Mkdir(s.path("copies"), 0o700))
	env, jobs := s.crontab("crontab-copies")
	s.mustKeepCopies(s.path("copies"), jobs, func(command string) outcome { return s.cron(env, command) })
}

func TestCopiesUnits(t *testing.T) {
	s := newSite(t)
	for _, name := range []string{"sqlite-checkpoint-copies@.service", "sqlite-checkpoint-copies@.timer"} {
		s.write(name, []byte(s.example(name)))
		instance := "./" + strings.Replace(name, "@", "@"+s.escaped(), 1)
		if o := s.finish(s.other(tool(t, "systemd-analyze"), "verify", instance)).exits(0); o.stdout+o.stderr != "" {
			t.Errorf("%s: %s%s", o.command, o.stdout, o.stderr)
		}
	}
	s.finish(s.other(tool(t, "systemd-analyze"), "security", "--no-pager", "--offline=true",
		fmt.Sprintf("--threshold=%d", maxExposure), "./sqlite-checkpoint-copies@.service")).exits(0)
	calendar := setting(t, s.example("sqlite-checkpoint-copies@.timer"), "OnCalendar")
	s.finish(s.other(tool(t, "systemd-analyze"), "calendar", calendar)).exits(0)
}

// The service's commands in its sandbox, in their order.
func TestCopiesService(t *testing.T) {
	s := newSite(t)
	unit := s.example("sqlite-checkpoint-copies@.service")
	dir := s.path("lib/sqlite-checkpoint/copies")
	s.check(os.MkdirAll(dir, 0o755))
	s.bash(fmt.Sprintf("mkdir cache && chown -R %d lib && chown -R %d app && chmod -R go= app", nobody, app)).exits(0)
	s.write("calls", nil)
	s.check(os.Chmod(s.path("calls"), 0o666))
	instance := strings.NewReplacer("%f", s.path("app/app.db"), "%S", s.path("lib"))
	before := picture.Take(t, s.path("app"))
	var jobs []string
	for _, command := range settings(unit, "ExecStart") {
		jobs = append(jobs, instance.Replace(command))
	}
	first := s.finish(s.other(s.sandboxed(unit, jobs[0])...))
	first.exits(0)
	before.MustMatch(t, s.path("app"))
	s.bash("rm lib/sqlite-checkpoint/copies/*").exits(0)
	s.mustKeepCopies(dir, jobs, func(command string) outcome {
		o := s.finish(s.other(s.sandboxed(unit, command)...))
		o.command = command // not hundreds of system calls
		return o
	})
	s.mustNeedNoOtherCall()
}
