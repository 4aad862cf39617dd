package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// SIGKILL of the main process, of the guard or of both, at any moment: CMD, which would commit at
// its end, does not live to do so, no process and no mount is left, and the next run removes the
// stage. SHADOW_KILLS=100 is for thoroughness.
func TestShadowKilled(t *testing.T) {
	s := newShadowed(newBench(t), 6, 20)
	rounds, err := strconv.Atoi(os.Getenv("SHADOW_KILLS"))
	if err != nil {
		rounds = 2
	}
	started := 0
	for _, victims := range []string{"main", "guard", "both"} {
		for range rounds {
			p := s.start("shadow", "--grace", "100ms", s.root, "--", "bash", "-c",
				`trap "" TERM; echo >started; read -rt 30; echo >committed`)
			time.Sleep(rand.N(400 * time.Millisecond))
			s.kill(p, victims)
			<-p.ended
			s.mustBeGone()
			if os.Remove(s.bench.path("started")) == nil {
				started++
			}
			if size(s.bench.path("committed")) >= 0 {
				t.Fatalf("%s: CMD has committed", victims)
			}
		}
	}
	t.Logf("%d rounds, CMD was started in %d", 3*rounds, started)
	s.run("shadow", s.root, "--", "true").exits(0)
	if left := names(t, s.bench.path("srv")); !slices.Equal(left, []string{"app"}) {
		t.Errorf("left: %q", left)
	}
}

// kill kills some of the processes of a run, the guard as soon as there is one.
func (s *shadowed) kill(p *process, victims string) {
	s.Helper()
	var guards []int
	eventually(s, "there is a guard, or the run is over", func() bool {
		guards = guardsOf(p.cmd.Process.Pid)
		return victims == "main" || len(guards) > 0 || p.over()
	})
	time.Sleep(rand.N(200 * time.Millisecond))
	if victims != "main" {
		for _, pid := range guards {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	if victims != "guard" {
		p.cmd.Process.Kill()
	}
}

func guardsOf(pid int) (pids []int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range files {
		data, _ := os.ReadFile(file)
		for child := range strings.FieldsSeq(string(data)) {
			argv, _ := os.ReadFile("/proc/" + child + "/cmdline")
			if strings.HasPrefix(string(argv), "sqlite-checkpoint-guard") {
				n, _ := strconv.Atoi(child)
				pids = append(pids, n)
			}
		}
	}
	return pids
}

// mustBeGone waits until no process works in the bench's directory, and none has a mount of it.
func (s *shadowed) mustBeGone() {
	s.Helper()
	eventually(s, "every process has ended", func() bool {
		dirs, _ := filepath.Glob("/proc/[0-9]*/cwd")
		for _, link := range dirs {
			where, _ := os.Readlink(link)
			mounts, _ := os.ReadFile(filepath.Join(filepath.Dir(link), "mountinfo"))
			if strings.HasPrefix(where, s.bench.dir) || strings.Contains(string(mounts), s.bench.dir) {
				return false
			}
		}
		return true
	})
}

// With the stage on another file system, a CMD that stays on one would leave out everything but the
// databases.
func TestShadowOtherDevice(t *testing.T) {
	s := newShadowed(newBench(t), 2, 10)
	stage := filepath.Join("/dev/shm", filepath.Base(filepath.Dir(s.bench.dir)))
	t.Cleanup(func() { os.RemoveAll(stage) })
	s.run("shadow", "--stage", stage, s.root, "--", "restic", "backup", "-x", s.root).exits(2).
		says("-x would leave out files", "different file systems", "--stage")
	count := "find " + s.root + " -xdev -type f | wc -l"
	o := s.run("shadow", "--stage", stage, s.root, "--", "bash", "-c", count).exits(0).says("different file systems")
	if strings.TrimSpace(o.stdout) == "13" {
		t.Error("nothing was left out: the refusal is groundless")
	}
	o = s.run("shadow", s.root, "--", "bash", "-c", count).exits(0)
	if strings.TrimSpace(o.stdout) != "13" {
		t.Errorf("with a stage beside the directory: %s files", o.stdout)
	}
}

// A user without privileges has a view of files of its own, and is refused one with somebody
// else's.
func TestShadowUnprivileged(t *testing.T) {
	b := newBench(t)
	b.check(os.MkdirAll(b.path("srv"), 0o755))
	b.check(os.Chown(b.path("srv"), nobody, nobody))
	b.check(os.Chown(b.dir, nobody, nobody))
	s := newShadowed(b, 6, 20)
	s.chown(nobody)
	t.Setenv("RESTIC", tool(t, "bin/restic"))
	unprivileged := func(script string) outcome {
		return s.finish(as(nobody, s.other("bash", "-euo", "pipefail", "-c", "export HOME=$PWD\n"+script)))
	}
	unprivileged(`"$RESTIC" init; sqlite-checkpoint shadow srv/app -- "$RESTIC" backup "$PWD/srv/app"`).exits(0)
	s.bash(`"$RESTIC" restore latest --target restored
		(cd restored$PWD/srv/app; sha256sum --quiet -c .sqlite-checkpoint.sha256)
		find restored$PWD/srv/app ! -uid 65534 -o ! -gid 65534 | (! grep .)`).exits(0)
	s.check(os.Chown(s.path(s.others[3]), app, nobody))
	unprivileged(`sqlite-checkpoint shadow srv/app -- true`).exits(1).
		says("belongs to 1000:65534", "run as root", "{stage}")
	if left := names(t, b.path("srv")); !slices.Equal(left, []string{"app"}) {
		t.Errorf("left: %q", left)
	}
}

// noNamespaces runs a command where no mount namespace can be created.
func noNamespaces(script string) []string {
	return []string{"unshare", "--user", "--map-root-user", "--pid", "--fork", "bash", "-euo", "pipefail", "-c",
		"echo 0 >/proc/sys/user/max_mnt_namespaces; " + script}
}

// Where namespaces are forbidden, the error names the form that needs none, and that form works,
// with restic and tar: every database comes from the stage, and none as it is, whatever its name.
func TestShadowWithoutNamespace(t *testing.T) {
	s := newShadowed(newBench(t), 12, 20)
	s.chown(0) // the only user there is
	s.add("$HOME # x .db", s.bench.read("DELETE"))
	s.add("similar.db", s.bench.read("DELETE"))
	s.add("similar-db", []byte("no database"))
	s.databases, s.others = append(s.databases, "$HOME # x .db", "similar.db"), append(s.others, "similar-db")
	startWriter(t, s.path(s.databases[0]))
	t.Setenv("RESTIC", tool(t, "bin/restic"))
	s.finish(s.other(noNamespaces("sqlite-checkpoint shadow srv/app -- true")...)).exits(1).
		says("does not allow a private mount namespace", "{exclude}", "{stage}")
	stage := s.bench.path("stage")
	for name, script := range map[string]string{
		"restic": `"$RESTIC" init
			sqlite-checkpoint shadow --stage stage "$PWD/srv/app" -- \
				"$RESTIC" backup --exclude-file {exclude} "$PWD/srv/app" {stage}
			"$RESTIC" restore latest --target from-restic`,
		"tar": `sqlite-checkpoint shadow --stage stage "$PWD/srv/app" -- \
				tar -cPf app.tar -X {exclude} "$PWD/srv/app" {stage}
			mkdir from-tar; tar -xf app.tar -C from-tar`,
	} {
		t.Run(name, func(t *testing.T) {
			s.finish(s.other(noNamespaces(script)...)).exits(0)
			restored := s.bench.path("from-" + name)
			for _, database := range s.databases {
				s.commits(filepath.Join(restored, stage, s.path(database)))
			}
			for _, other := range s.others {
				if size(filepath.Join(restored, s.path(other))) < 0 {
					t.Errorf("%q is missing", other)
				}
			}
			live := filepath.Join(restored, s.root)
			s.check(filepath.WalkDir(live, func(path string, _ os.DirEntry, err error) error {
				if strings.Contains(path, ".db") {
					t.Errorf("%q was taken as it is", path)
				}
				return err
			}))
		})
	}
}
