package recipes

import (
	"slices"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// borgmatic accepts the file, makes one archive of a good database and none of a bad one.
func TestHooksBorgmatic(t *testing.T) {
	s := newSite(t)
	text := s.example("borgmatic.yaml")
	s.Write("good.yaml", []byte(text))
	s.Write("bad.yaml", []byte(s.broken(text)))
	borgmatic := func(argv ...string) harness.Outcome {
		cmd := s.Other(argv...)
		cmd.Env = append(cmd.Env, "HOME="+s.Dir, "BORG_BASE_DIR="+s.Dir,
			"BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes")
		return s.Finish(cmd)
	}
	borgmatic("borg", "init", "--encryption", "none", "borg").Exits(0)
	borgmatic(harness.Tool(t, "validate-borgmatic-config"), "--config", "good.yaml").Exits(0)
	program := []string{harness.Tool(t, "borgmatic"), "--log-file", s.Path("log"), "--config"}
	borgmatic(append(program, "good.yaml", "create")...).Exits(0)
	if left := harness.Names(t, s.Path("state")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if o := borgmatic(append(program, "bad.yaml", "create")...); o.Code == 0 {
		t.Errorf("without a database: exit status 0\n%s", o.Stderr)
	}
	archives := strings.Fields(borgmatic("borg", "list", "--short", "borg").Exits(0).Stdout)
	if len(archives) != 1 {
		t.Fatalf("archives: %q, want one", archives)
	}
	borgmatic("borg", "extract", "borg::"+archives[0]).Exits(0)
	copied := strings.TrimPrefix(s.Path("state/app.db"), "/")
	s.Run("verify", copied).Exits(0)
	s.mustBeWhole(copied)
}

// The command that resticprofile would run, into restic as resticprofile would start it.
func TestHooksResticprofile(t *testing.T) {
	var config struct {
		Version string
		App     struct {
			Repository   string
			PasswordFile string `json:"password-file"`
			Backup       struct {
				StdinFilename string `json:"stdin-filename"`
				StdinCommand  string `json:"stdin-command"`
				Schedule      string
				Permission    string `json:"schedule-permission"`
			}
		}
	}
	decodeYAML(t, "../examples/resticprofile.yaml", &config, true)
	s, backup := newSite(t), config.App.Backup
	restic := s.paths.Replace("restic --repo " + config.App.Repository + " --password-file " + config.App.PasswordFile)
	name := s.paths.Replace(backup.StdinFilename)
	s.Bash(s.paths.Replace(backup.StdinCommand) + " | " + restic + " backup --stdin --stdin-filename " + name).Exits(0)
	s.mustHave(name)
	s.Bash(s.broken(s.paths.Replace(backup.StdinCommand))).Exits(3).Silent()
	s.analyze("calendar", backup.Schedule).Exits(0)
}

// The hooks that autorestic would run, around a backup as it would make it.
func TestHooksAutorestic(t *testing.T) {
	var config struct {
		Version   int
		Locations map[string]struct {
			From, To, Cron string
			Hooks          struct{ Before, After []string }
		}
		Backends map[string]struct{ Type, Path string }
	}
	decodeYAML(t, "../examples/autorestic.yaml", &config, true)
	s, app := newSite(t), config.Locations["app"]
	if _, known := config.Backends[app.To]; !known || len(app.Hooks.Before) != 2 || len(app.Hooks.After) != 1 {
		t.Fatalf("not what is tested: %+v", config)
	}
	hooks := func(lines []string, change func(string) string) (o harness.Outcome) {
		for _, line := range lines {
			if o = s.Finish(s.Other("bash", "-c", change(s.paths.Replace(line)))); o.Code != 0 {
				break
			}
		}
		return o
	}
	same := func(line string) string { return line }
	for range 2 { // the second one finds the copy of the first
		hooks(app.Hooks.Before, same).Exits(0)
	}
	s.Bash("restic backup " + s.paths.Replace(app.From)).Exits(0)
	s.mustHaveCopy()
	hooks(app.Hooks.After, same).Exits(0)
	missing := strings.NewReplacer(s.Path("app/app.db"), s.Path("app/missing.db"))
	hooks(app.Hooks.Before, missing.Replace).Exits(3)
	if left := harness.Names(t, s.Path("state")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// The script that backrest would run, before a backup as it would make it.
func TestHooksBackrest(t *testing.T) {
	s := newSite(t)
	script := s.example("backrest-hook")
	s.Write("hook", []byte(script))
	s.Finish(s.Other(harness.Tool(t, "shellcheck"), "hook")).Exits(0)
	run := func(script string) harness.Outcome {
		cmd := s.Other("sh")
		cmd.Stdin = strings.NewReader(script)
		return s.Finish(cmd)
	}
	for range 2 {
		run(script).Exits(0).Silent()
	}
	s.Bash("restic backup " + s.Path("state")).Exits(0)
	s.mustHaveCopy()
	run(s.broken(script)).Exits(3)
	if left := harness.Names(t, s.Path("state")); slices.Contains(left, "app.db") {
		t.Errorf("a failure left the old copy to be backed up: %q", left)
	}
	if strings.Contains(script, "{{") {
		t.Error("backrest would take {{ for a template")
	}
}
