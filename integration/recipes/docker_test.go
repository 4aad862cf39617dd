package recipes

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// docker-compose accepts the file, and what the container runs backs up.
func TestDockerCompose(t *testing.T) {
	s := newSite(t)
	s.Write("docker-compose.yaml", []byte(s.example("docker-compose.yaml")))
	s.Write("backup.env", nil)
	s.Finish(s.Other(harness.Tool(t, "docker-compose"), "config", "-q")).Exits(0)
	var project struct {
		Services map[string]struct{ Entrypoint, Command []string }
	}
	decodeYAML(t, "../examples/docker-compose.yaml", &project, false)
	backup := project.Services["backup"]
	s.mustBackUpChanges(slices.Concat(backup.Entrypoint, backup.Command))
}

// An image is what the last stage of the Dockerfile describes.
type image struct {
	from, user string
	copies     map[string]string // from the context to the image
	env        []string
	entrypoint []string
}

func readDockerfile(t *testing.T) (i image) {
	t.Helper()
	text, err := os.ReadFile("../examples/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "", "#":
		case "FROM":
			i = image{from: rest, copies: map[string]string{}}
		case "COPY":
			from, to, _ := strings.Cut(rest, " ")
			i.copies[from] = to
		case "ENV":
			i.env = append(i.env, rest)
		case "USER":
			i.user = rest
		case "ENTRYPOINT":
			if err := json.Unmarshal([]byte(rest), &i.entrypoint); err != nil {
				t.Fatalf("ENTRYPOINT: %v", err)
			}
		default:
			t.Errorf("Dockerfile: what is %q?", line)
		}
	}
	return i
}

// The image contains only the program: no shell, no /proc, no /dev, no /etc/passwd. It backs up a
// live database that it cannot write to, and restores it, with its temp directory as the only
// writable place.
func TestDockerFromScratch(t *testing.T) {
	i := readDockerfile(t)
	if i.from != "scratch" || i.user != "65534:65534" || len(i.copies) != 1 {
		t.Errorf("the last stage is not what is tested: %+v", i)
	}
	b := harness.NewBench(t)
	b.Bash("mkdir -p root/data root/tmp && chmod 777 root/tmp").Exits(0)
	for from, to := range i.copies {
		harness.CopyFile(t, "../../"+from, b.Path("root"+to), 0o755)
	}
	b.NewDatabase("root/data/app.db", 100)
	b.Open("root/data/app.db", "PRAGMA journal_mode=WAL;", "INSERT INTO t VALUES(NULL, 'in the WAL');")
	before := testkit.TakePicture(t, b.Path("root/data"))
	in := func(stdin string, args ...string) harness.Outcome {
		cmd := exec.Command(harness.Tool(t, "chroot"), slices.Concat([]string{"--userspec=" + i.user, b.Path("root")},
			i.entrypoint, args)...)
		cmd.Env, cmd.Stdin = i.env, strings.NewReader(stdin)
		return b.Finish(cmd)
	}
	stream := in("", "backup", "/data/app.db", "-").Exits(0).Stdout
	in("", "info", "/data/app.db").Exits(0)
	in("", "--version").Exits(0)
	in(stream, "verify", "--check", "full", "-").Exits(0)
	in(stream, "restore", "-", "/tmp/new.db").Exits(0)
	in(stream[:len(stream)/2], "verify", "-").Exits(8)
	b.Bash("mkdir -p root/proc root/dev && touch root/dev/null").Exits(0)
	const mounts = `mount -t proc proc root/proc; mount --bind /dev/null root/dev/null; exec "$@"`
	piped := b.Other(slices.Concat([]string{harness.Tool(t, "unshare"), "--mount", "bash", "-euc", mounts, "bash",
		"env", "-i"}, i.env,
		[]string{harness.Tool(t, "chroot"), "--userspec=" + i.user, b.Path("root")}, i.entrypoint,
		[]string{"pipe", "/data/app.db", "--"}, i.entrypoint, []string{"verify", "-"})...)
	b.Finish(piped).Exits(0)
	before.MustMatch(t, b.Path("root/data"))
	if rows := b.SQLite("root/tmp/new.db", "SELECT count(*) FROM t; PRAGMA integrity_check;"); rows != "101\nok" {
		t.Errorf("restored %q", rows)
	}
	b.Bash("rm root/tmp/new.db*").Exits(0)
	if left := harness.Names(t, b.Path("root/tmp")); len(left) > 0 {
		t.Errorf("left in /tmp: %q", left)
	}
	b.Check(os.Remove(b.Path("root/tmp")))
	in("", "backup", "/data/app.db", "-").Exits(6).Silent().Says("/tmp")
}
