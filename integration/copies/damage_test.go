package copies

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// damages are what may happen to a copy: after each, it is not proven.
var damages = map[string]func(b *harness.Bench, copy string){
	"flipped":             func(b *harness.Bench, copy string) { b.Poke(copy, 700, "x") },
	"cut":                 func(b *harness.Bench, copy string) { b.Check(os.Truncate(copy, 700)) },
	"empty":               func(b *harness.Bench, copy string) { b.Check(os.Truncate(copy, 0)) },
	"longer":              func(b *harness.Bench, copy string) { b.Poke(copy, harness.Size(copy), "x") },
	"without its sidecar": func(b *harness.Bench, copy string) { b.Check(os.Remove(copy + ".sha256")) },
	"an empty sidecar":    func(b *harness.Bench, copy string) { b.Check(os.Truncate(copy+".sha256", 0)) },
	"another's sidecar":   func(b *harness.Bench, copy string) { b.Poke(copy+".sha256", 0, strings.Repeat("0", 64)) },
	"unreadable":          func(b *harness.Bench, copy string) { b.Check(os.Chmod(copy, 0)) },
	"unreadable sidecar":  func(b *harness.Bench, copy string) { b.Check(os.Chmod(copy+".sha256", 0)) },
	"in use": func(b *harness.Bench, copy string) {
		b.Check(os.WriteFile(copy+"-wal", []byte("x"),
			0o600))
	},
	"somebody else's text": func(b *harness.Bench, copy string) {
		replace(b, copy, func() error { return os.WriteFile(copy, []byte("my notes"), 0o600) })
	},
	"a directory": func(b *harness.Bench, copy string) {
		replace(b, copy,
			func() error { return os.Mkdir(copy, 0o700) })
	},
	"a pipe for a sidecar": func(b *harness.Bench, copy string) {
		b.Check(os.Remove(copy + ".sha256"))
		b.Check(syscall.Mkfifo(copy+".sha256", 0o600))
	},
	"a symbolic link": func(b *harness.Bench, copy string) {
		replace(b, copy, func() error { return os.Symlink("../image", copy) })
	},
	"a named pipe": func(b *harness.Bench, copy string) {
		replace(b, copy, func() error { return syscall.Mkfifo(copy, 0o600) })
	},
}

// unlisted reports whether the damage leaves a name that list ignores.
func unlisted(damage string) bool {
	return damage == "a directory" || damage == "a symbolic link" || damage == "a named pipe"
}

// replace replaces a copy and its sidecar by something else.
func replace(b *harness.Bench, copy string, create func() error) {
	b.Helper()
	b.Check(os.Remove(copy))
	b.Check(os.Remove(copy + ".sha256"))
	b.Check(create())
}

// A damagedHistory is the copies of one database, the oldest first.
type damagedHistory struct {
	copies []string
	damage []string // of each; "" for none
}

// refused reports whether the newest listed copy is not proven.
func (d damagedHistory) refused() bool {
	for i := len(d.copies) - 1; i >= 0; i-- {
		if !unlisted(d.damage[i]) {
			return d.damage[i] != ""
		}
	}
	return false
}

// TestPruneBesideDamage damages copies at random, puts other files in the place of some, and prunes
// by random policies: whole copies are kept or removed as if nothing else were there, and nothing
// else is touched.
func TestPruneBesideDamage(t *testing.T) {
	const rounds, databases = 4, 120
	for seed := range uint64(rounds) {
		h := &histories{Bench: harness.NewBench(t), random: rand.New(rand.NewPCG(seed, 2)), zone: "UTC"}
		h.Bash(onePage + "mkdir dir good").Exits(0)
		policy, all := h.policy(), make([]damagedHistory, databases)
		for i := range all {
			all[i] = h.damaged(fmt.Sprint("app", i))
		}
		h.Write("dir/notes.txt", []byte("x"))
		h.Write("dir/gone-20260101T000000Z.db.sha256", []byte("x"))
		before := testkit.TakePicture(t, h.Path("dir"))
		kept := h.kept(policy, "good")
		h.pruneAsNobody(policy)
		after := testkit.TakePicture(t, h.Path("dir"))
		for _, d := range all {
			d.mustBePruned(h, kept, before, after)
		}
		for _, name := range []string{"notes.txt", "gone-20260101T000000Z.db.sha256"} {
			if after[name] != before[name] {
				t.Errorf("%s was touched", name)
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d, policy %q", seed, policy)
		}
	}
}

// pruneAsNobody prunes as a user who, unlike root, cannot read everything.
func (h *histories) pruneAsNobody(policy []string) {
	h.Helper()
	h.Bash("chown -hR 65534:65534 dir").Exits(0)
	h.Wrap = []string{harness.Tool(h, "setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups"}
	h.Run(slices.Concat([]string{"prune"}, policy, []string{"dir"})...).Exits(8)
	h.Wrap = nil
	h.Bash("chown -hR 0:0 dir").Exits(0)
}

// kept returns the names of the copies that a policy keeps.
func (h *histories) kept(policy []string, dir string) map[string]bool {
	h.Helper()
	names := map[string]bool{}
	for _, database := range h.dryRun(policy, dir).Databases {
		for _, c := range database.Keep {
			names[c.Name] = true
		}
	}
	return names
}

func (d damagedHistory) mustBePruned(t testing.TB, kept map[string]bool, before, after testkit.Picture) {
	t.Helper()
	refused := d.refused()
	for i, name := range d.copies {
		stays := d.damage[i] != "" || refused || kept[name]
		for _, suffix := range []string{"", ".sha256", "-wal"} {
			was, is := before[name+suffix], after[name+suffix]
			if stays && is != was || !stays && is != "" {
				t.Errorf("%s%s (%s; newest not proven: %v): %q, was %q", name, suffix, d.damage[i], refused, is, was)
			}
		}
	}
}

// damaged makes a history in dir, some of it damaged, and its good copies alone in good.
func (h *histories) damaged(stem string) (d damagedHistory) {
	h.Helper()
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 1 + h.random.IntN(12) {
		at = at.Add(time.Duration(1+h.random.IntN(100)) * time.Hour)
		name := stem + at.Format("-20060102T150405Z.db")
		damage := ""
		if h.random.IntN(3) == 0 {
			kinds := slices.Sorted(maps.Keys(damages))
			damage = kinds[h.random.IntN(len(kinds))]
		}
		d.copies, d.damage = append(d.copies, name), append(d.damage, damage)
		for _, dir := range []string{"dir", "good"} {
			if copy := filepath.Join(h.Path(dir), name); dir == "dir" || damage == "" {
				harness.CopyFile(h, h.Path("image"), copy, 0o600)
				sidecarOfImage(h.Bench, copy)
			}
		}
		if damage != "" {
			damages[damage](h.Bench, filepath.Join(h.Path("dir"), name))
		}
	}
	return d
}
