package recipes

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// A readmeLine is one command line of the README.
type readmeLine struct {
	number int
	text   string
}

// readmeLines returns all lines of its sh blocks, without comments. A line that ends in a backslash
// continues on the next.
func readmeLines(t testing.TB) (lines []readmeLine) {
	t.Helper()
	inside, begun := false, ""
	for i, text := range strings.Split(readme(t), "\n") {
		text = strings.TrimSpace(text)
		if strings.HasPrefix(text, "```") {
			inside = text == "```sh"
			continue
		}
		if !inside || text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		if rest, more := strings.CutSuffix(text, `\`); more {
			begun += rest
			continue
		}
		lines = append(lines, readmeLine{i + 1, begun + text})
		begun = ""
	}
	if len(lines) == 0 {
		t.Fatal("README.md has no command lines")
	}
	return lines
}

func readme(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Lines that are run elsewhere: by a test of this package, or in a file that has the line.
var runElsewhere = []struct{ line, by string }{
	{"make build", "TestMain"},
	{"make demo", "TestDemo"},
	{"make test", "../../.ci/run"},
	{
		"sqlite-checkpoint watch --every 15m /srv/app -- sqlite-checkpoint shadow /srv/app -- restic backup /srv/app",
		"TestWatchService",
	},
}

// elsewhere returns what runs a line instead of this test, or "". It fails the test if that does
// not run it.
func elsewhere(t *testing.T, line string) (by string) {
	t.Helper()
	for _, known := range runElsewhere {
		if known.line != line {
			continue
		}
		if strings.HasPrefix(known.by, "Test") && !testExists(t, known.by) || !strings.HasPrefix(known.by, "Test") &&
			!fileHas(t, known.by, line) {
			t.Errorf("%s: %s does not run it", line, known.by)
		}
		return known.by
	}
	return ""
}

func testExists(t *testing.T, name string) bool {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if fileHas(t, file, "func "+name+"(") {
			return true
		}
	}
	return false
}

func fileHas(t *testing.T, name, text string) bool {
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(data), text)
}

// Every command line of the README is run, in the order in which a reader would, in one directory
// with a live database, a restic and a borg repository, a host and a remote.
func TestREADME(t *testing.T) {
	r := newReader(t)
	for _, line := range readmeLines(t) {
		if by := elsewhere(t, line.text); by != "" {
			t.Logf("README.md:%d: by %s: %s", line.number, by, line.text)
			continue
		}
		if strings.Contains(line.text, "--set-aside") {
			r.live.Close() // "with the application stopped"
		}
		o := r.Finish(r.withTools(r.Other("unshare", "--mount", "bash", "-euo", "pipefail", "-c", mountHost+line.text)))
		if o.Code != 0 {
			t.Errorf("README.md:%d: %s: exit status %d\n%s%s", line.number, line.text, o.Code, o.Stdout, o.Stderr)
			continue
		}
		t.Logf("README.md:%d: here, in %v: %s", line.number, o.Took.Round(time.Millisecond), line.text)
		r.mustHaveRestored(line.text)
	}
}

// mountHost mounts two directories at the paths in the README.
const mountHost = "mount --bind srv /srv; mount --bind varlib /var/lib; "

// A reader is a bench that has everything that the README mentions.
type reader struct {
	*harness.Bench
	live *harness.Session
	env  []string
}

func newReader(t *testing.T) *reader {
	t.Helper()
	r := &reader{Bench: harness.NewBench(t)}
	harness.Tool(t, "bin/restic") // a current one, which comes before Debian's in harness.Path
	far := r.Path("far")
	for _, dir := range []string{far, r.Path("remote"), r.Path("srv"), r.Path("srv/app"), r.Path("varlib")} {
		r.Check(os.Mkdir(dir, 0o755))
	}
	r.NewDatabase("srv/app/app.db", 1000)
	r.live = r.Open("srv/app/app.db", "PRAGMA journal_mode=WAL;", "INSERT INTO t VALUES(NULL, 'in the WAL');",
		"CREATE TABLE users(name); INSERT INTO users VALUES('alice');")
	ssh := startSSH(t, far)
	r.env = []string{
		"PATH=" + strings.Join([]string{harness.Path(), ssh, os.Getenv("PATH")}, ":"),
		"RCLONE_CONFIG=/dev/null", "RCLONE_CONFIG_REMOTE_TYPE=alias", "RCLONE_CONFIG_REMOTE_REMOTE=" + r.Path("remote"),
		"BORG_BASE_DIR=" + r.Path("borg"), "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes",
	}
	r.Finish(r.withTools(r.Other("bash", "-euc", "restic init && borg init --encryption none repo"))).Exits(0)
	return r
}

// withTools gives a command the environment that newReader has set up.
func (r *reader) withTools(cmd *exec.Cmd) *exec.Cmd {
	cmd.Env = append(cmd.Env, r.env...)
	return cmd
}

// mustHaveRestored checks the database that a line has restored: it has the row that was only in
// the WAL.
func (r *reader) mustHaveRestored(line string) {
	r.Helper()
	match := regexp.MustCompile(`sqlite-checkpoint restore .*?(\S+)$`).FindStringSubmatch(line)
	if match == nil {
		return
	}
	if rows := r.SQLite(strings.TrimPrefix(match[1], "/"),
		"SELECT count(*) FROM t; PRAGMA integrity_check;"); rows != "1001\nok" {
		r.Errorf("%s: %s has %q", line, match[1], rows)
	}
}

// README and --help list the exit statuses in the same words.
func TestREADMEExitStatus(t *testing.T) {
	b := harness.NewBench(t)
	_, table, found := strings.Cut(b.Run("--help").Exits(0).Stdout, "Exit status:\n")
	if !found {
		t.Fatal("--help has no exit statuses")
	}
	text := regexp.MustCompile(` +`).ReplaceAllString(readme(t), " ")
	for line := range strings.Lines(table) {
		words := strings.Join(strings.Fields(line), " ")
		if !strings.Contains(text, words) {
			t.Errorf("README.md has no %q", words)
		}
	}
}

// The README explains every command, and lists no key that the JSON does not have.
func TestREADMECommands(t *testing.T) {
	b := harness.NewBench(t)
	b.NewDatabase("app.db", 10)
	text := readme(t)
	for _, command := range []string{"snapshot DB DEST", "backup DB DEST", "pipe DB -- CMD...",
		"shadow DIR... -- CMD...", "watch PATH... -- CMD...",
		"verify SRC", "restore SRC DB", "checkpoint DB", "info DB"} {
		if !strings.Contains(text, "\n"+command+" ") {
			t.Errorf("README.md does not explain %q", command)
		}
	}
	for command, args := range map[string][]string{"checkpoint": {"app.db"}, "backup": {"app.db", "copy.db"},
		"info": {"app.db"}} {
		result := b.Run(append([]string{"--json", command}, args...)...).Exits(0).JSON()
		match := regexp.MustCompile(`(?m)^` + command + ` +(command .*)$`).FindStringSubmatch(text)
		if match == nil {
			t.Errorf("README.md does not list the JSON keys of %s", command)
			continue
		}
		for _, key := range strings.Fields(match[1]) {
			if _, ok := result[key]; !ok {
				t.Errorf("%s has no %q: %v", command, key, fmt.Sprint(result))
			}
		}
	}
}
