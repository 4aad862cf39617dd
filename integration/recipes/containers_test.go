package recipes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// decodeYAML decodes the one document of a YAML file. A Kubernetes object is checked against
// Kubernetes' own types on the way.
func decodeYAML(t testing.TB, path string, into any, strict bool) {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.Command("go", "-C", "../tools", "run", "./manifest", path)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", path, err, stderr.String())
	}
	decoder := json.NewDecoder(bytes.NewReader(out))
	if strict {
		decoder.DisallowUnknownFields()
	}
	if err := decoder.Decode(into); err != nil || decoder.More() {
		t.Fatalf("%s: %v, or more than one document", path, err)
	}
}

// What these tests look at in a Kubernetes object.
type (
	workload struct {
		APIVersion, Kind string
		Spec             struct {
			ConcurrencyPolicy string
			Template          struct{ Spec podSpec }
			JobTemplate       struct {
				Spec struct{ Template struct{ Spec podSpec } }
			}
		}
	}
	podSpec struct {
		AutomountServiceAccountToken *bool
		SecurityContext              struct {
			RunAsNonRoot   bool
			RunAsUser      int
			SeccompProfile struct{ Type string }
		}
		Containers []container
		Volumes    []struct {
			Name     string
			EmptyDir *struct{}
		}
	}
	container struct {
		Name            string
		Command, Args   []string
		Env             []struct{ Name, Value string }
		SecurityContext struct {
			AllowPrivilegeEscalation *bool
			ReadOnlyRootFilesystem   bool
			Capabilities             struct{ Add, Drop []string }
		}
		VolumeMounts []struct {
			Name, MountPath string
			ReadOnly        bool
		}
	}
)

// readPod is the pod of a manifest, which has to be what Kubernetes takes.
func readPod(t *testing.T, name, kind string) podSpec {
	t.Helper()
	var w workload
	decodeYAML(t, "../examples/"+name, &w, false)
	if w.APIVersion+" "+w.Kind != kind {
		t.Errorf("it is a %s %s", w.APIVersion, w.Kind)
	}
	if w.Kind == "CronJob" {
		return w.Spec.JobTemplate.Spec.Template.Spec
	}
	return w.Spec.Template.Spec
}

// The containers of the manifests may do no more than they must, and their commands back up.
func TestKubernetes(t *testing.T) {
	for name, kind := range map[string]string{
		"kubernetes-cronjob.yaml": "batch/v1 CronJob", "kubernetes-sidecar.yaml": "apps/v1 Deployment",
	} {
		t.Run(name, func(t *testing.T) {
			c := readPod(t, name, kind).mustBeModest(t, modesty{})
			s := newSite(t)
			argv := s.paths.Replace(strings.Join(once(c.argv()), "\x00"))
			s.mustBackUp(s.Path("app/app.db"), argv, func(command string) harness.Outcome {
				return s.Finish(s.Other(append([]string{"env"}, strings.Split(command, "\x00")...)...))
			})
		})
	}
}

func TestKubernetesDaemonSet(t *testing.T) {
	pod := readPod(t, "kubernetes-daemonset.yaml", "apps/v1 DaemonSet")
	c := pod.mustBeModest(t, modesty{root: true, writable: []string{"/state", "/tmp"}})
	newSite(t).mustBackUpChanges(c.argv())
}

// Together the workers prove each database once, and the one whose share is damaged fails.
func TestKubernetesIndexedJob(t *testing.T) {
	c := readPod(t, "kubernetes-indexed-job.yaml", "batch/v1 Job").mustBeModest(t, modesty{})
	s := newSite(t)
	s.Write("app/names", []byte("/one\n/two\n/three of five\n/four\n/five\n"))
	s.Bash(`while IFS= read -r name; do
		restic backup --stdin-filename "$name" --stdin-from-command -- sqlite-checkpoint backup app/app.db -
	done <app/names`).Exits(0)
	var env []string
	for _, variable := range c.Env {
		if variable.Value != "" && !strings.HasPrefix(variable.Value, "/") { // our directories are others
			env = append(env, variable.Name+"="+variable.Value)
		}
	}
	work := func() (worst int, said string) {
		for index := range 4 {
			cmd := s.Other(strings.Split(s.paths.Replace(strings.Join(c.argv(), "\x00")), "\x00")...)
			cmd.Env = append(append(cmd.Env, env...), fmt.Sprint("JOB_COMPLETION_INDEX=", index))
			o := s.Finish(cmd)
			worst, said = max(worst, o.Code), said+o.Stdout+o.Stderr
		}
		return worst, said
	}
	if worst, said := work(); worst != 0 || strings.Count(said, "complete: ") != 5 {
		t.Errorf("exit status %d\n%s", worst, said)
	}
	s.Bash(`sqlite3 empty.db VACUUM && restic backup --stdin-filename /empty --stdin-from-command -- \
		sqlite-checkpoint backup empty.db -`).Exits(0)
	s.Write("app/names", append(s.Read("app/names"), "/empty\n"...))
	if worst, said := work(); worst != 1 || strings.Count(said, "complete: ") != 5 ||
		!strings.Contains(said, "a query failed") {
		t.Errorf("with a database without tables: exit status %d\n%s", worst, said)
	}
	s.Write("app/names", append(s.Read("app/names"), "/six\n"...))
	if worst, said := work(); worst != 1 || strings.Count(said, "complete: ") != 5 {
		t.Errorf("with a name that is not there: exit status %d\n%s", worst, said)
	}
}

// docker-compose takes the file, and what the container runs backs up.
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

// argv is what the container runs.
func (c container) argv() []string { return slices.Concat(c.Command, c.Args) }

// once makes a watch look once.
func once(argv []string) []string {
	if len(argv) > 1 && argv[1] == "watch" && !slices.Contains(argv, "--once") {
		return slices.Insert(slices.Clone(argv), 2, "--once")
	}
	return argv
}

// A modesty says what a container may have beyond the least: the files of all users, and other
// writable volumes than /tmp.
type modesty struct {
	root     bool
	writable []string
}

// mustBeModest returns the container that backs up.
func (p podSpec) mustBeModest(t *testing.T, m modesty) (c container) {
	t.Helper()
	i := slices.IndexFunc(p.Containers, func(c container) bool { return c.Name == "backup" })
	if i < 0 {
		t.Fatal("there is no container backup")
	}
	c = p.Containers[i]
	pod, own := p.SecurityContext, c.SecurityContext
	named := pod.RunAsNonRoot && pod.RunAsUser != 0 && own.Capabilities.Add == nil
	reader := m.root && slices.Equal(own.Capabilities.Add, []string{"DAC_READ_SEARCH"})
	if !named && !reader || pod.SeccompProfile.Type != "RuntimeDefault" ||
		p.AutomountServiceAccountToken == nil || *p.AutomountServiceAccountToken {
		t.Errorf("the pod may do too much: %+v", p)
	}
	if !own.ReadOnlyRootFilesystem || own.AllowPrivilegeEscalation == nil || *own.AllowPrivilegeEscalation ||
		!slices.Equal(own.Capabilities.Drop, []string{"ALL"}) {
		t.Errorf("the container may do too much: %+v", own)
	}
	c.mustWriteOnly(t, m.writable)
	return c
}

// mustWriteOnly checks that the data is read-only.
func (c container) mustWriteOnly(t *testing.T, want []string) {
	t.Helper()
	if want == nil {
		want = []string{"/tmp"}
	}
	var writable []string
	data := false
	for _, mount := range c.VolumeMounts {
		if !mount.ReadOnly {
			writable = append(writable, mount.MountPath)
		}
		data = data || mount.ReadOnly && mount.MountPath == "/data"
	}
	if !data || !slices.Equal(writable, want) {
		t.Errorf("want /data read-only, and %q writable: %+v", want, c.VolumeMounts)
	}
	for _, variable := range c.Env {
		if strings.HasPrefix(variable.Value, "/") && !strings.HasPrefix(variable.Value, "/tmp") {
			t.Errorf("%s=%s is not in the writable volume", variable.Name, variable.Value)
		}
	}
}

// An image is what the last stage of the Dockerfile says.
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

// The image has nothing but the program: no shell, no /proc, no /dev, no /etc/passwd. It backs up a
// live database that it cannot write, and takes the way back, with its temp directory as the only
// place to write to.
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
