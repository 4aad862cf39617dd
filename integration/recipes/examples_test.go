package recipes

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// A store is a bench where the scripts of examples are run unchanged: "app.db" is the database, and
// the programs that the scripts call are the real ones.
type store struct {
	*harness.Bench
	bin string
	env []string
}

// newStore returns a store where the scripts find these programs and the usual ones. A name is as
// for harness.Tool: bin/restic becomes restic.
func newStore(t testing.TB, rows int, programs ...string) *store {
	t.Helper()
	s := &store{Bench: harness.NewBench(t)}
	s.bin = s.Path("bin")
	s.Check(os.Mkdir(s.bin, 0o755))
	s.provide("sqlite-checkpoint", harness.Binary)
	for _, name := range programs {
		s.provide(filepath.Base(name), harness.Tool(t, name))
	}
	for _, script := range scripts(t) {
		path, err := filepath.Abs(script)
		s.Check(err)
		s.provide(filepath.Base(script), path)
	}
	s.set("PATH", s.bin+":"+os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin")
	s.set("TMPDIR", s.Temp)
	s.set("HOME", s.Path("home"))
	s.Check(os.Mkdir(s.Path("home"), 0o755))
	s.NewDatabase("app.db", rows)
	return s
}

func (s *store) provide(name, path string) {
	s.Helper()
	s.Check(os.Symlink(path, filepath.Join(s.bin, name)))
}

func (s *store) set(name, value string) { s.env = append(s.env, name+"="+value) }

// spawn returns a command in the store, with more variables.
func (s *store) spawn(argv, env []string) *exec.Cmd {
	cmd := exec.Command(argv[0], argv[1:]...)
	if path := filepath.Join(s.bin, argv[0]); !strings.Contains(argv[0], "/") && harness.Size(path) >= 0 {
		cmd = exec.Command(path, argv[1:]...)
		cmd.Args[0] = argv[0]
	}
	cmd.Dir = s.Dir
	cmd.Env = slices.Concat(os.Environ(), s.env, env)
	return cmd
}

// try runs a command, and returns its exit status and output.
func (s *store) try(argv ...string) (code int, stdout, stderr string) {
	s.Helper()
	var out, err bytes.Buffer
	cmd := s.spawn(argv, nil)
	cmd.Stdout, cmd.Stderr = &out, &err
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		s.Fatalf("%q: %v", argv, err)
	}
	return harness.Status(cmd.ProcessState), out.String(), err.String()
}

// do is try for a command that must succeed.
func (s *store) do(argv ...string) (stdout string) {
	s.Helper()
	code, stdout, stderr := s.try(argv...)
	if code != 0 {
		s.Fatalf("%q: exit status %d\n%s%s", argv, code, stdout, stderr)
	}
	return stdout
}

// refuse is try for a command that must fail.
func (s *store) refuse(argv ...string) {
	s.Helper()
	if code, stdout, stderr := s.try(argv...); code == 0 {
		s.Errorf("%q does not fail\n%s%s", argv, stdout, stderr)
	}
}

// mustEqual fails the test unless the file is the image of app.db, byte for byte.
func (s *store) mustEqual(name string) {
	s.Helper()
	if harness.Size(s.Path("image.db")) < 0 {
		s.do("sqlite-checkpoint", "backup", "-q", "app.db", "image.db")
	}
	if !bytes.Equal(s.Read(name), s.Read("image.db")) {
		s.Errorf("%s is another database", name)
	}
}

func (s *store) mustBeAbsent(names ...string) {
	s.Helper()
	for _, name := range names {
		if _, err := os.Lstat(s.Path(name)); err == nil {
			s.Errorf("%s is there", name)
		}
	}
}

// interrupt runs a command and hits the victim in it. It reports whether the victim was hit in the
// middle.
func (s *store) interrupt(v harness.Victim, argv ...string) bool {
	s.Helper()
	mark := fmt.Sprintf("SQLITE_CHECKPOINT_TEST_MARK=%x", rand.Uint64())
	var out bytes.Buffer
	cmd := s.spawn(argv, []string{mark})
	cmd.Stdout, cmd.Stderr = &out, &out
	s.Check(cmd.Start())
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	hit := s.Hunt(v, mark, ended)
	<-ended
	harness.Eventually(s, "no process survives", func() bool { return len(harness.Marked(mark)) == 0 })
	if hit && harness.Status(cmd.ProcessState) == 0 {
		s.Errorf("%q: exit status 0 although %s was hit\n%s", argv, v.Program, &out)
	}
	return hit
}

// scripts returns the scripts that have a verb for each way to back up and restore. Others are
// hooks, which have tests of their own.
func scripts(t testing.TB) (found []string) {
	t.Helper()
	all, err := filepath.Glob("../examples/*.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if text, err := os.ReadFile(name); err == nil && verb.Match(text) {
			found = append(found, name)
		}
	}
	if len(found) < 7 {
		t.Fatalf("too few scripts: %q", found)
	}
	return found
}

var verb = regexp.MustCompile(`(?m)^([a-z-]+)/\d\)$`)

// Every verb of every script is run by a test of recipes, and every verb is explained.
func TestExamplesAreComplete(t *testing.T) {
	contained := testExists(t, "TestDirectoryRecipeContained")
	run := map[string]bool{
		"directory.sh restic-contained":         contained,
		"directory.sh restic-contained-restore": contained,
	}
	for _, r := range slices.Concat(recipes, directoryRecipes) {
		for _, argv := range slices.Concat(r.prepare, [][]string{r.backup, r.verify, r.restore}, r.more) {
			if len(argv) > 1 {
				run[argv[0]+" "+argv[1]] = true
			}
		}
	}
	for _, argv := range proofs {
		run[argv[0]+" "+argv[1]] = true
	}
	for _, script := range scripts(t) {
		text, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(script)
		verbs := verb.FindAllStringSubmatch(string(text), -1)
		if len(verbs) < 2 {
			t.Errorf("%s: too few verbs: %q", name, verbs)
		}
		for _, v := range verbs {
			if !run[name+" "+v[1]] {
				t.Errorf("%s %s is not run by a test", name, v[1])
			}
			if !strings.Contains(string(text), "#   "+name+" "+v[1]+" ") {
				t.Errorf("%s does not explain %s", name, v[1])
			}
		}
		if !strings.Contains(string(text), "\n# Checked by: ") {
			t.Errorf("%s does not say how it is checked", name)
		}
	}
}
