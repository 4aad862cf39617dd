package integration

import (
	"slices"
	"strings"
	"testing"
)

// borgmatic takes the file, makes one archive of a good database and none of a bad one.
func TestHooksBorgmatic(t *testing.T) {
	s := newSite(t)
	text := s.example("borgmatic.yaml")
	s.write("good.yaml", []byte(text))
	s.write("bad.yaml", []byte(s.broken(text)))
	borgmatic := func(argv ...string) outcome {
		cmd := s.other(argv...)
		cmd.Env = append(cmd.Env, "HOME="+s.dir, "BORG_BASE_DIR="+s.dir, "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes")
		return s.finish(cmd)
	}
	borgmatic("borg", "init", "--encryption", "none", "borg").exits(0)
	borgmatic(tool(t, "validate-borgmatic-config"), "--config", "good.yaml").exits(0)
	program := []string{tool(t, "borgmatic"), "--log-file", s.path("log"), "--config"}
	borgmatic(append(program, "good.yaml", "create")...).exits(0)
	if left := names(t, s.path("state")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	if o := borgmatic(append(program, "bad.yaml", "create")...); o.code == 0 {
		t.Errorf("without a database: exit status 0\n%s", o.stderr)
	}
	archives := strings.Fields(borgmatic("borg", "list", "--short", "borg").exits(0).stdout)
	if len(archives) != 1 {
		t.Fatalf("archives: %q, want one", archives)
	}
	borgmatic("borg", "extract", "borg::"+archives[0]).exits(0)
	copied := strings.TrimPrefix(s.path("state/app.db"), "/")
	s.run("verify", copied).exits(0)
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
	decodeYAML(t, "examples/resticprofile.yaml", &config, true)
	s, backup := newSite(t), config.App.Backup
	restic := s.paths.Replace("restic --repo " + config.App.Repository + " --password-file " + config.App.PasswordFile)
	name := s.paths.Replace(backup.StdinFilename)
	s.bash(s.paths.Replace(backup.StdinCommand) + " | " + restic + " backup --stdin --stdin-filename " + name).exits(0)
	s.mustHave(name)
	s.bash(s.broken(s.paths.Replace(backup.StdinCommand))).exits(3).silent()
	s.finish(s.other(tool(t, "systemd-analyze"), "calendar", backup.Schedule)).exits(0)
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
	decodeYAML(t, "examples/autorestic.yaml", &config, true)
	s, app := newSite(t), config.Locations["app"]
	if _, known := config.Backends[app.To]; !known || len(app.Hooks.Before) != 2 || len(app.Hooks.After) != 1 {
		t.Fatalf("not what is tested: %+v", config)
	}
	hooks := func(lines []string, change func(string) string) (o outcome) {
		for _, line := range lines {
			if o = s.finish(s.other("bash", "-c", change(s.paths.Replace(line)))); o.code != 0 {
				break
			}
		}
		return o
	}
	same := func(line string) string { return line }
	for range 2 { // the second one finds the copy of the first
		hooks(app.Hooks.Before, same).exits(0)
	}
	s.bash("restic backup " + s.paths.Replace(app.From)).exits(0)
	s.mustHaveCopy()
	hooks(app.Hooks.After, same).exits(0)
	missing := strings.NewReplacer(s.path("app/app.db"), s.path("app/missing.db"))
	hooks(app.Hooks.Before, missing.Replace).exits(3)
	if left := names(t, s.path("state")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// The script that backrest would run, before a backup as it would make it.
func TestHooksBackrest(t *testing.T) {
	s := newSite(t)
	script := s.example("backrest-hook")
	s.write("hook", []byte(script))
	s.finish(s.other(tool(t, "shellcheck"), "hook")).exits(0)
	run := func(script string) outcome {
		cmd := s.other("sh")
		cmd.Stdin = strings.NewReader(script)
		return s.finish(cmd)
	}
	for range 2 {
		run(script).exits(0).silent()
	}
	s.bash("restic backup " + s.path("state")).exits(0)
	s.mustHaveCopy()
	run(s.broken(script)).exits(3)
	if left := names(t, s.path("state")); slices.Contains(left, "app.db") {
		t.Errorf("a failure left the old copy to be backed up: %q", left)
	}
	if strings.Contains(script, "{{") {
		t.Error("backrest would take {{ for a template")
	}
}
