package recipes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
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

// readPod returns the pod of a manifest, which Kubernetes must accept.
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

// The containers of the manifests have no more rights than they need, and their commands back up.
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

// argv returns what the container runs.
func (c container) argv() []string { return slices.Concat(c.Command, c.Args) }

// once makes a watch look once.
func once(argv []string) []string {
	if len(argv) > 1 && argv[1] == "watch" && !slices.Contains(argv, "--once") {
		return slices.Insert(slices.Clone(argv), 2, "--once")
	}
	return argv
}

// A modesty says what a container may have beyond the minimum: the files of all users, and writable
// volumes other than /tmp.
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
