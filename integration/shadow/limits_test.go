package shadow

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

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// SIGKILL of the main process, of the guard or of both, at any moment: CMD, which would commit at
// its end, dies before, no process and no mount is left, and the next run removes the stage.
// SHADOW_KILLS=100 is more thorough.
func TestShadowKilled(t *testing.T) {
	s := newShadowed(harness.NewBench(t), 6, 20)
	rounds, err := strconv.Atoi(os.Getenv("SHADOW_KILLS"))
	if err != nil {
		rounds = 2
	}
	started := 0
	for _, victims := range []string{"main", "guard", "both"} {
		for range rounds {
			p := s.Start("shadow", "--grace", "100ms", s.root, "--", "bash", "-c",
				`trap "" TERM; echo >started; read -rt 30; echo >committed`)
			time.Sleep(rand.N(400 * time.Millisecond))
			s.kill(p, victims)
			<-p.Ended
			s.mustBeGone()
			if os.Remove(s.Bench.Path("started")) == nil {
				started++
			}
			if harness.Size(s.Bench.Path("committed")) >= 0 {
				t.Fatalf("%s: CMD has committed", victims)
			}
		}
	}
	t.Logf("%d rounds, CMD was started in %d", 3*rounds, started)
	s.Run("shadow", s.root, "--", "true").Exits(0)
	if left := harness.Names(t, s.Bench.Path("srv")); !slices.Equal(left, []string{"app"}) {
		t.Errorf("left: %q", left)
	}
}

// kill kills some of the processes of a run, the guard as soon as it exists.
func (s *shadowed) kill(p *harness.Process, victims string) {
	s.Helper()
	var guards []int
	harness.Eventually(s, "there is a guard, or the run is over", func() bool {
		guards = guardsOf(p.Cmd.Process.Pid)
		return victims == "main" || len(guards) > 0 || p.Over()
	})
	time.Sleep(rand.N(200 * time.Millisecond))
	if victims != "main" {
		for _, pid := range guards {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	if victims != "guard" {
		p.Cmd.Process.Kill()
	}
}

func guardsOf(pid int) (pids []int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range files {
		data, _ := os.ReadFile(file)
		for child := range strings.FieldsSeq(string(data)) {
			argv, _ := os.ReadFile("/proc/" + child + "/cmdline")
			if strings.HasPrefix(string(argv), "command-guard") {
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
	harness.Eventually(s, "every process has ended", func() bool {
		dirs, _ := filepath.Glob("/proc/[0-9]*/cwd")
		for _, link := range dirs {
			where, _ := os.Readlink(link)
			mounts, _ := os.ReadFile(filepath.Join(filepath.Dir(link), "mountinfo"))
			if strings.HasPrefix(where, s.Bench.Dir) || strings.Contains(string(mounts), s.Bench.Dir) {
				return false
			}
		}
		return true
	})
}

// With the stage on another file system, a CMD that stays on one would leave out everything but the
// databases.
func TestShadowOtherDevice(t *testing.T) {
	s := newShadowed(harness.NewBench(t), 2, 10)
	stage := filepath.Join("/dev/shm", filepath.Base(filepath.Dir(s.Bench.Dir)))
	t.Cleanup(func() { os.RemoveAll(stage) })
	s.Run("shadow", "--stage", stage, s.root, "--", "restic", "backup", "-x", s.root).Exits(2).
		Says("-x would leave out files", "different file systems", "--stage")
	count := "find " + s.root + " -xdev -type f | wc -l"
	o := s.Run("shadow", "--stage", stage, s.root, "--", "bash", "-c", count).Exits(0).Says("different file systems")
	if strings.TrimSpace(o.Stdout) == "13" {
		t.Error("nothing was left out: the refusal is groundless")
	}
	o = s.Run("shadow", s.root, "--", "bash", "-c", count).Exits(0)
	if strings.TrimSpace(o.Stdout) != "13" {
		t.Errorf("with a stage beside the directory: %s files", o.Stdout)
	}
}

// An unprivileged user gets a view of the user's own files, but not one with files of others.
func TestShadowUnprivileged(t *testing.T) {
	b := harness.NewBench(t)
	b.Check(os.MkdirAll(b.Path("srv"), 0o755))
	b.Check(os.Chown(b.Path("srv"), harness.Nobody, harness.Nobody))
	b.Check(os.Chown(b.Dir, harness.Nobody, harness.Nobody))
	s := newShadowed(b, 6, 20)
	s.chown(harness.Nobody)
	t.Setenv("RESTIC", harness.Tool(t, "bin/restic"))
	unprivileged := func(script string) harness.Outcome {
		return s.Finish(harness.As(harness.Nobody, s.Other("bash", "-euo", "pipefail", "-c",
			"export HOME=$PWD\n"+script)))
	}
	unprivileged(`"$RESTIC" init; sqlite-checkpoint shadow srv/app -- "$RESTIC" backup "$PWD/srv/app"`).Exits(0)
	s.Bash(`"$RESTIC" restore latest --target restored
		(cd restored$PWD/srv/app; sha256sum --quiet -c .sqlite-checkpoint.sha256)
		find restored$PWD/srv/app ! -uid 65534 -o ! -gid 65534 | (! grep .)`).Exits(0)
	s.Check(os.Chown(s.path(s.others[3]), harness.App, harness.Nobody))
	unprivileged(`sqlite-checkpoint shadow srv/app -- true`).Exits(1).
		Says("belongs to 1000:65534", "run as root", "{stage}")
	if left := harness.Names(t, b.Path("srv")); !slices.Equal(left, []string{"app"}) {
		t.Errorf("left: %q", left)
	}
}

// Where namespaces are forbidden, the error names the form that needs none, and that form works,
// with restic and tar: every database comes from the stage, and no live one is backed up, whatever
// its name.
func TestShadowWithoutNamespace(t *testing.T) {
	s := newShadowed(harness.NewBench(t), 12, 20)
	s.chown(0) // the only user there is
	s.add("$HOME # x .db", s.Bench.Read("DELETE"))
	s.add("similar.db", s.Bench.Read("DELETE"))
	s.add("similar-db", []byte("no database"))
	s.databases, s.others = append(s.databases, "$HOME # x .db", "similar.db"), append(s.others, "similar-db")
	harness.StartWriter(t, s.path(s.databases[0]), 0)
	t.Setenv("RESTIC", harness.Tool(t, "bin/restic"))
	s.Finish(s.Other(harness.NoNamespaces("sqlite-checkpoint shadow srv/app -- true")...)).Exits(1).
		Says("does not allow a private mount namespace", "{exclude}", "{stage}")
	stage := s.Bench.Path("stage")
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
			s.Finish(s.Other(harness.NoNamespaces(script)...)).Exits(0)
			restored := s.Bench.Path("from-" + name)
			for _, database := range s.databases {
				s.Commits(filepath.Join(restored, stage, s.path(database)))
			}
			for _, other := range s.others {
				if harness.Size(filepath.Join(restored, s.path(other))) < 0 {
					t.Errorf("%q is missing", other)
				}
			}
			live := filepath.Join(restored, s.root)
			s.Check(filepath.WalkDir(live, func(path string, _ os.DirEntry, err error) error {
				if strings.Contains(path, ".db") {
					t.Errorf("%q was taken as it is", path)
				}
				return err
			}))
		})
	}
}
