package recipes

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// mustKeepCopies runs the commands of an example for dated copies: one copy while nothing changes,
// two after a commit, and an error if a copy is damaged or there is no database.
func (s *site) mustKeepCopies(dir string, jobs []string, run func(command string) harness.Outcome) {
	s.Helper()
	if len(jobs) != 2 {
		s.Fatalf("%d commands, want 2: %q", len(jobs), jobs)
	}
	twice := append(jobs, jobs...)
	for want := range 2 {
		for _, command := range twice {
			run(command).Exits(0)
		}
		if found := s.Proven(dir); len(found) != want+1 {
			s.Errorf("%d copies, want %d: %q", len(found), want+1, found)
		}
		s.Run("restore", "--at", "latest", dir, fmt.Sprint("back", want, ".db")).Exits(0)
		s.live.Run("INSERT INTO t VALUES(NULL, 'one more');")
	}
	s.mustBeWhole("back0.db")
	if o := run(s.broken(jobs[0])); o.Code != 3 || o.Stderr == "" {
		s.Errorf("%s: exit status %d\n%s", o.Command, o.Code, o.Stderr)
	}
	s.Poke(dir+"/"+s.Proven(dir)[1], 100, "x")
	if o := run(jobs[1]); o.Code != 8 || o.Stderr == "" {
		s.Errorf("%s: exit status %d\n%s", o.Command, o.Code, o.Stderr)
	}
}

func TestCopiesCrontab(t *testing.T) {
	s := newSite(t)
	s.Check(os.Mkdir(s.Path("copies"), 0o700))
	env, jobs := s.crontab("crontab-copies")
	s.mustKeepCopies(s.Path("copies"), jobs, func(command string) harness.Outcome { return s.cron(env, command) })
}

func TestCopiesUnits(t *testing.T) {
	newSite(t).mustBeUnits("sqlite-checkpoint-copies@")
}

// The service's commands in its sandbox, in their order.
func TestCopiesService(t *testing.T) {
	s := newSite(t)
	unit := s.example("sqlite-checkpoint-copies@.service")
	dir := s.Path("lib/sqlite-checkpoint/copies")
	s.Check(os.MkdirAll(dir, 0o755))
	s.Bash(fmt.Sprintf("mkdir cache && chown -R %d lib && chown -R %d app && chmod -R go= app", harness.Nobody,
		harness.App)).Exits(0)
	s.Write("calls", nil)
	s.Check(os.Chmod(s.Path("calls"), 0o666))
	instance := strings.NewReplacer("%f", s.Path("app/app.db"), "%S", s.Path("lib"))
	before := testkit.TakePicture(t, s.Path("app"))
	var jobs []string
	for _, command := range settings(unit, "ExecStart") {
		jobs = append(jobs, instance.Replace(command))
	}
	first := s.Finish(s.Other(s.sandboxed(unit, jobs[0])...))
	first.Exits(0)
	before.MustMatch(t, s.Path("app"))
	s.Bash("rm lib/sqlite-checkpoint/copies/*").Exits(0)
	s.mustKeepCopies(dir, jobs, func(command string) harness.Outcome {
		o := s.Finish(s.Other(s.sandboxed(unit, command)...))
		o.Command = command // not hundreds of system calls
		return o
	})
	s.mustNeedNoOtherCall()
}
