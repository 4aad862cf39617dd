package recipes

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// Recipes for whole directories: "app" is one, "back" is where it is restored.
var directoryRecipes = []recipe{
	{
		name: "restic", programs: []string{"bin/restic"}, setup: resticStore,
		backup:  []string{"directory.sh", "restic", "app"},
		restore: []string{"directory.sh", "restic-restore", "app", "back"},
	},
	{
		name: "restic, an old one", programs: []string{"restic"}, setup: resticStore,
		backup:  []string{"directory.sh", "restic", "app"},
		restore: []string{"directory.sh", "restic-restore", "app", "back"},
	},
	{
		name: "borg", programs: []string{"borg"}, setup: borgStore,
		prepare: [][]string{{"borg", "init", "--encryption", "none"}},
		backup:  []string{"directory.sh", "borg", "app", "a"},
		restore: []string{"directory.sh", "borg-restore", "a", "back"},
	},
	{
		name: "tar over ssh", setup: sshStore, backup: []string{"directory.sh", "ssh", "app", "a"},
		restore: []string{"directory.sh", "ssh-restore", "a", "back"},
	},
	{
		name: "rsync", programs: []string{"rsync"}, backup: []string{"directory.sh", "rsync", "app", "mirror"},
		restore: []string{"directory.sh", "rsync-restore", "mirror", "back"},
	},
}

// An application's directory is backed up in use and restored whole, and again after more commits.
func TestDirectoryRecipes(t *testing.T) {
	for _, r := range directoryRecipes {
		t.Run(r.name, func(t *testing.T) {
			s := newDirectoryStore(t, r)
			app := s.Open("app/data/app.db", "PRAGMA journal_mode=WAL;", "INSERT INTO t VALUES(NULL, 'in the WAL');")
			before := testkit.TakePicture(t, s.Path("app"))
			s.do(r.backup...)
			before.MustMatch(t, s.Path("app"))
			s.mustComeBack(r.restore, "11")

			app.Run("INSERT INTO t VALUES(NULL, 'more');")
			s.do(another(r.backup)...)
			s.do("rm", "-r", "back")
			s.mustComeBack(another(r.restore), "12")
		})
	}
}

// another returns a command on the archive b instead of a.
func another(argv []string) []string {
	argv = slices.Clone(argv)
	if i := slices.Index(argv, "a"); i >= 0 {
		argv[i] = "b"
	}
	return argv
}

func newDirectoryStore(t *testing.T, r recipe) *store {
	t.Helper()
	s := newRecipe(t, recipe{programs: r.programs, setup: r.setup, prepare: r.prepare})
	s.set("STAGE", s.Path("stage"))
	s.set("RESTIC_CACHE_DIR", s.Path("cache"))
	s.Bash("mkdir -p app/data && echo file >app/file && ln -s data/app.db app/link").Exits(0)
	s.NewDatabase("app/data/app.db", 10)
	s.NewDatabase("app/other.db", 10)
	return s
}

// mustComeBack restores the directory, and checks what is in it.
func (s *store) mustComeBack(restore []string, rows string) {
	s.Helper()
	s.do(restore...)
	back := s.Path("back")
	if deep := filepath.Join(back, s.Dir, "app"); harness.Size(deep) >= 0 {
		back = deep
	}
	for name, want := range map[string]string{"data/app.db": rows, "other.db": "10"} {
		if got := s.SQLite(filepath.Join(back, name), "SELECT count(*) FROM t"); got != want {
			s.Errorf("%s has %s rows, want %s", name, got, want)
		}
	}
	if got := s.do("cat", back+"/file"); got != "file\n" {
		s.Errorf("file is %q", got)
	}
	if harness.Size(filepath.Join(back, "data/app.db-wal")) >= 0 {
		s.Error("a -wal came back")
	}
}

// The form for containers works in one: as an unprivileged user who cannot create namespaces, with
// a volume for the copies.
func TestDirectoryRecipeContained(t *testing.T) {
	s := newDirectoryStore(t, directoryRecipes[0])
	s.Open("app/data/app.db", "PRAGMA journal_mode=WAL;", "INSERT INTO t VALUES(NULL, 'in the WAL');")
	s.do(harness.NoNamespaces("! sqlite-checkpoint shadow app -- true && directory.sh restic-contained app")...)
	if files := s.do("restic", "ls", "latest"); strings.Contains(files, "\n"+s.Path("app/other.db")) {
		t.Errorf("the live database was backed up itself: %s", files)
	}
	s.mustComeBack([]string{"directory.sh", "restic-contained-restore", "app", "back"}, "11")
}

// The manifest asks for no more rights than the others, and its command and the restore work where
// no namespace can be created.
func TestKubernetesDirectory(t *testing.T) {
	const manifest = "kubernetes-directory.yaml"
	var w workload
	decodeYAML(t, "../examples/"+manifest, &w, false)
	if w.APIVersion+" "+w.Kind != "batch/v1 CronJob" {
		t.Errorf("it is a %s %s", w.APIVersion, w.Kind)
	}
	c := w.Spec.JobTemplate.Spec.Template.Spec.mustBeModest(t, modesty{})
	s := newSite(t)
	s.Write("app/file", []byte("file\n"))
	paths := strings.NewReplacer("/data", s.Path("app"), "/tmp/stage", s.Path("stage"))
	var words []string
	for _, arg := range c.argv() {
		words = append(words, "'"+paths.Replace(arg)+"'")
	}
	s.Finish(s.Other(harness.NoNamespaces(strings.Join(words, " "))...)).Exits(0)
	text, err := os.ReadFile("../examples/" + manifest)
	s.Check(err)
	back := regexp.MustCompile(`(?m)^#   (restic restore .*)$`).FindAllStringSubmatch(string(text), -1)
	if len(back) != 2 {
		t.Fatalf("the way back has %d lines", len(back))
	}
	for _, line := range back {
		command := strings.ReplaceAll(paths.Replace(line[1]), "--target "+s.Path("app"), "--target back")
		s.Bash(strings.ReplaceAll(command, "verify "+s.Path("app"), "verify back")).Exits(0)
	}
	s.mustBeWhole("back/app.db")
	s.Bash("cmp app/file back/file && (! ls back/app.db-*)").Exits(0)
}
