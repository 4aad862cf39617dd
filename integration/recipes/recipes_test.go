package recipes

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// recipeRows make a database of some 7 MB: the program is still sending when it is hit.
const recipeRows = 20_000

// A recipe is one way to back up and restore, as a script of examples does it.
type recipe struct {
	name     string
	programs []string
	setup    func(s *store)
	prepare  [][]string // what the consumer needs first
	backup   []string
	verify   []string
	restore  []string       // makes new.db
	more     [][]string     // what else works after a backup
	empty    func(s *store) // fails the test if the consumer has anything; nil if it may have what verify refuses
	toFile   bool           // a plain file: there is no stream to be broken, but a copy
}

var recipes = []recipe{
	{
		name: "restic/command", programs: []string{"bin/restic"}, setup: resticStore,
		backup: []string{"restic.sh", "backup", "app.db"}, verify: []string{"restic.sh", "verify", "app.db"},
		restore: []string{"restic.sh", "restore", "app.db", "new.db"}, empty: noSnapshot,
	},
	{
		name: "restic/pipe", programs: []string{"bin/restic"}, setup: resticStore,
		backup: []string{"restic.sh", "backup-pipe", "app.db"}, verify: []string{"restic.sh", "verify", "app.db"},
		restore: []string{"restic.sh", "restore", "app.db", "new.db"}, empty: noSnapshot,
	},
	{
		name: "restic/pipe, an old one", programs: []string{"restic"}, setup: resticStore,
		backup: []string{"restic.sh", "backup-pipe", "app.db"}, verify: []string{"restic.sh", "verify", "app.db"},
		restore: []string{"restic.sh", "restore", "app.db", "new.db"}, empty: noSnapshot,
	},
	{
		name: "restic/stdin, an old one", programs: []string{"restic"}, setup: resticStore,
		backup: []string{"restic.sh", "backup-stdin", "app.db"}, verify: []string{"restic.sh", "verify", "app.db"},
		restore: []string{"restic.sh", "restore", "app.db", "new.db"},
	},
	{
		name: "borg/command", programs: []string{"borg"}, setup: borgStore,
		prepare: [][]string{{"borg", "init", "--encryption", "none"}},
		backup:  []string{"borg.sh", "backup", "app.db", "a"}, verify: []string{"borg.sh", "verify", "app.db", "a"},
		restore: []string{"borg.sh", "restore", "app.db", "a", "new.db"}, empty: noArchive,
	},
	{
		name: "borg/pipe", programs: []string{"borg"}, setup: borgStore,
		prepare: [][]string{{"borg", "init", "--encryption", "none"}},
		backup:  []string{"borg.sh", "backup-pipe", "app.db", "a"}, verify: []string{"borg.sh", "verify", "app.db",
			"a"},
		restore: []string{"borg.sh", "restore", "app.db", "a", "new.db"}, empty: noArchive,
	},
	{
		name: "borg/named pipe", programs: []string{"borg"}, setup: borgStore,
		prepare: [][]string{{"borg", "init", "--encryption", "none"}},
		backup:  []string{"borg.sh", "backup-fifo", "app.db", "a"}, verify: []string{"borg.sh", "verify", "app.db",
			"a"},
		restore: []string{"borg.sh", "restore", "app.db", "a", "new.db"}, empty: noArchive,
	},
	{
		name: "ssh", setup: sshStore,
		backup: []string{"ssh.sh", "backup", "app.db", "far.db.zst"}, verify: []string{"ssh.sh", "verify",
			"far.db.zst"},
		restore: []string{"ssh.sh", "restore", "far.db.zst", "new.db"}, empty: nothingFar,
	},
	{
		name: "ssh, sha256sum there", setup: sshStore,
		backup: []string{"ssh.sh", "backup-plain", "app.db", "far.db"}, verify: []string{"ssh.sh", "verify", "far.db"},
		restore: []string{"ssh.sh", "restore", "far.db", "new.db"}, empty: nothingFar,
	},
	{
		name: "rclone", programs: []string{"rclone"}, setup: rcloneStore,
		backup: []string{"rclone.sh", "backup", "app.db", "here:out/a.db"}, verify: []string{"rclone.sh", "verify",
			"here:out/a.db"},
		restore: []string{"rclone.sh", "restore", "here:out/a.db", "new.db"},
	},
	{
		name: "age", programs: []string{"age", "age-keygen"}, setup: ageStore,
		backup: []string{"age.sh", "backup", "app.db", "a.age", "PUBLIC"}, verify: []string{"age.sh", "verify", "a.age",
			"key.txt"},
		restore: []string{"age.sh", "restore", "a.age", "key.txt", "new.db"},
		empty:   func(s *store) { s.mustBeAbsent("a.age") },
	},
	{
		name: "disk", setup: outDir,
		backup: []string{"disk.sh", "backup", "app.db", "out/a.db"}, verify: []string{"disk.sh", "verify", "out/a.db"},
		restore: []string{"disk.sh", "restore", "out/a.db", "new.db"},
		more:    [][]string{{"disk.sh", "plain-verify", "out/a.db"}},
		empty:   func(s *store) { s.mustBeAbsent("out/a.db", "out/a.db.sha256") }, toFile: true,
	},
	{
		name: "disk, compressed", programs: []string{"zstd"}, setup: outDir,
		backup: []string{"disk.sh", "backup-zstd", "app.db", "out/a.zst"}, verify: []string{"disk.sh", "verify",
			"out/a.zst"},
		restore: []string{"disk.sh", "restore", "out/a.zst", "new.db"},
		more:    [][]string{{"disk.sh", "plain-restore", "out/a.zst", "plain.db"}},
		empty:   func(s *store) { s.mustBeAbsent("out/a.zst", "out/a.zst.sha256") },
	},
	{
		name: "disk, pv", programs: []string{"pv"}, setup: outDir,
		backup: []string{"disk.sh", "backup-pv", "app.db", "out/a.db"}, verify: []string{"disk.sh", "verify",
			"out/a.db"},
		restore: []string{"disk.sh", "restore", "out/a.db", "new.db"},
		empty:   func(s *store) { s.mustBeAbsent("out/a.db") },
	},
	{
		name:   "named pipe",
		backup: []string{"fifo.sh", "backup", "app.db", "a.copy"}, verify: []string{"sqlite-checkpoint", "verify",
			"a.copy"},
		restore: []string{"fifo.sh", "restore", "a.copy", "new.db"},
		empty:   func(s *store) { s.mustBeAbsent("a.copy", "a.copy.unproven") },
	},
}

// newRecipe returns the store that a recipe needs.
func newRecipe(t *testing.T, r recipe) *store {
	t.Helper()
	s := newStore(t, recipeRows, r.programs...)
	if r.setup != nil {
		r.setup(s)
	}
	for _, argv := range r.prepare {
		s.do(argv...)
	}
	return s
}

// expand inserts what only the store knows.
func (s *store) expand(argv []string) []string {
	words := append([]string{}, argv...)
	for i, word := range words {
		if word == "PUBLIC" {
			words[i] = strings.TrimSpace(s.do("age-keygen", "-y", "key.txt"))
		}
	}
	return words
}

// A backup and a restore give the same database, twice.
func TestRecipes(t *testing.T) {
	for _, r := range recipes {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			s := newRecipe(t, r)
			before := testkit.TakePicture(t, s.Path("app.db"))
			s.do(s.expand(r.backup)...)
			s.do(s.expand(r.verify)...)
			s.do(s.expand(r.restore)...)
			s.mustEqual("new.db")
			for _, argv := range r.more {
				s.do(argv...)
			}
			if harness.Size(s.Path("plain.db")) >= 0 {
				s.mustEqual("plain.db")
			}
			before.MustMatch(t, s.Path("app.db"))
		})
	}
}

// One repository, databases of the same name from two directories and two hosts: each is restored
// from its own snapshots.
func TestRecipeResticSharedRepository(t *testing.T) {
	s := newStore(t, 10, "bin/restic")
	resticStore(s)
	s.Check(os.Mkdir(s.Path("other"), 0o755))
	s.NewDatabase("other/app.db", 1)
	s.do("restic.sh", "backup", "app.db")
	s.do("restic.sh", "backup", "other/app.db")
	path := s.Path("app.db")
	s.do("bash", "-c",
		"sqlite-checkpoint backup other/app.db - | restic backup --host elsewhere --stdin --stdin-filename "+path)
	s.do("restic.sh", "restore", "app.db", "new.db")
	s.mustEqual("new.db")
}

// The program killed in the middle of the stream: the script fails, and what the consumer has is
// nothing, or no database.
func TestRecipesKilled(t *testing.T) {
	for _, r := range recipes {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			s := interrupted(t, r, harness.Victim{Program: harness.Binary, Hit: harness.Send(syscall.SIGKILL),
				Copying: r.toFile})
			if r.empty != nil {
				r.empty(s)
			}
			s.refuse(s.expand(r.verify)...)
			s.refuse(s.expand(r.restore)...)
			s.mustBeAbsent("new.db")
			s.do(s.expand(r.backup)...) // no lock is in the way, and no file
			s.do(s.expand(r.verify)...)
		})
	}
}

// interrupted makes stores until the recipe's backup was hit in the middle.
func interrupted(t *testing.T, r recipe, v harness.Victim) *store {
	t.Helper()
	for range 50 {
		s := newRecipe(t, r)
		if s.interrupt(v, s.expand(r.backup)...) {
			return s
		}
	}
	t.Fatal("never hit in the middle of the stream")
	return nil
}

// ssh killed in the middle: the far end cannot tell that from EOF, and has to find out itself.
func TestSSHKilled(t *testing.T) {
	for _, r := range recipes {
		if !strings.HasPrefix(r.name, "ssh") {
			continue
		}
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
			t.Run(r.name+"/"+signal.String(), func(t *testing.T) {
				t.Parallel()
				s := interrupted(t, r, harness.Victim{Program: harness.Tool(t, "ssh"), Hit: harness.Send(signal)})
				nothingFar(s)
				s.refuse(r.verify...)
			})
		}
	}
}

func resticStore(s *store) {
	s.ResticRepository()
	s.set("RESTIC_REPOSITORY", s.Path("repository"))
	s.set("RESTIC_PASSWORD", "test")
	s.set("RESTIC_CACHE_DIR", s.Path("cache"))
}

func noSnapshot(s *store) {
	s.Helper()
	var snapshots []any
	s.Check(json.Unmarshal([]byte(s.do("restic", "snapshots", "--json", "--no-lock")), &snapshots))
	if len(snapshots) > 0 {
		s.Errorf("restic has %v", snapshots)
	}
}

func borgStore(s *store) {
	s.set("BORG_REPO", s.Path("repository"))
	s.set("BORG_BASE_DIR", s.Path("borg"))
	s.set("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "yes")
}

func noArchive(s *store) {
	s.Helper()
	if archives := s.do("borg", "list", "--short"); archives != "" {
		s.Errorf("borg has %q", archives)
	}
}

func rcloneStore(s *store) {
	s.Write("rclone.conf", []byte("[here]\ntype = local\n"))
	s.set("RCLONE_CONFIG", s.Path("rclone.conf"))
}

func ageStore(s *store) { s.do("age-keygen", "-o", "key.txt") }

func outDir(s *store) { s.Check(os.Mkdir(s.Path("out"), 0o755)) }

// sshStore returns a store with an sshd whose commands run in the directory far.
func sshStore(s *store) {
	s.Check(os.Mkdir(s.Path("far"), 0o755))
	s.provide("ssh", filepath.Join(startSSH(s, s.Path("far")), "ssh"))
	s.set("BACKUP_HOST", "host")
}

// nothingFar fails the test unless the far end, which finds out a little later, removes everything.
func nothingFar(s *store) {
	s.Helper()
	harness.Eventually(s, "the far side has nothing", func() bool { return len(harness.Names(s, s.Path("far"))) == 0 })
}
