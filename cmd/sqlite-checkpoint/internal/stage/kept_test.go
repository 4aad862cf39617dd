package stage

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// round fills the fixture's kept stage, and returns the sources that were copied again.
func (f fixture) round(check engine.Check, sources ...string) (copied []string) {
	f.Helper()
	s, err := Open(f.path("stage"))
	f.must(err)
	defer s.Close()
	f.must(s.Prune(Layout{Databases: sources, Points: true}))
	copies, err := s.Fill(f.Context(), sources, Options{Jobs: 2, Snapshot: engine.SnapshotOptions{Check: check}})
	f.must(err)
	for _, c := range copies {
		f.must(c.Err)
		if !c.Unchanged {
			copied = append(copied, filepath.Base(c.Source))
		}
	}
	f.must(s.Directories([]string{f.path("app")}))
	f.must(s.Save(copies))
	return copied
}

// settle waits until a token of the database is beyond doubt.
func (f fixture) settle(path string) {
	f.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		token, err := engine.TakeToken(path)
		f.must(err)
		if token.Doubt() != engine.DoubtRecent {
			return
		}
		if time.Now().After(deadline) {
			f.Fatal("never settled")
		}
	}
}

// An unchanged database is neither copied nor touched; one that has changed, or whose copy has, is
// copied again.
func TestKept(t *testing.T) {
	f := newFixture(t)
	a, b := f.database("app/a.db"), f.database("app/b\xff.db")
	f.settle(b)
	want := func(step string, got []string, want ...string) {
		t.Helper()
		if len(got) != len(want) || len(got) > 0 && got[0] != want[0] {
			t.Errorf("%s: copied %q, want %q", step, got, want)
		}
	}
	want("first", f.round("auto", a, b), "a.db", "b\xff.db")
	before := testkit.TakePicture(t, f.path("stage"))
	want("unchanged", f.round("auto", a, b))
	before.MustMatch(t, f.path("stage"))

	f.must(os.WriteFile(filepath.Join(f.path("stage"), a), []byte("tampered with"), 0o600))
	want("copy changed", f.round("auto", a, b), "a.db")
	f.must(os.Remove(filepath.Join(f.path("stage"), b)))
	want("copy removed", f.round("auto", a, b), "b\xff.db")
	want("other check", f.round("full", a, b), "a.db", "b\xff.db")
	f.sqlite("app/a.db", "INSERT INTO t VALUES('more')")
	want("commit", f.round("full", a, b), "a.db")
	want("too recent to be sure", f.round("full", a, b), "a.db")
	f.must(os.WriteFile(f.path("stage/.sqlite-checkpoint/records"), []byte("nonsense"), 0o600))
	want("records damaged", f.round("full", a, b), "a.db", "b\xff.db")
	want("one fewer", f.round("full", b))
	if _, err := os.Lstat(filepath.Join(f.path("stage"), a)); !os.IsNotExist(err) {
		t.Errorf("its copy is left: %v", err)
	}
}

// What a killed run has left in a stage is removed from that stage alone, whatever its name.
func TestLeftOfKilledRun(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"a[1]", "a[1", "a1"} {
		s, err := Open(f.path(name))
		f.must(err)
		f.must(os.WriteFile(filepath.Join(s.meta(), "7.db"), nil, 0o600))
		f.must(s.Close())
	}
	for _, name := range []string{"a[1]", "a[1"} {
		s, err := Open(f.path(name))
		f.must(err)
		f.must(s.Close())
	}
	left, err := filepath.Glob(f.path("*/*/7.db"))
	f.must(err)
	if want := []string{filepath.Join(f.path("a1"), MetaName, "7.db")}; !slices.Equal(left, want) {
		t.Errorf("left: %q, want %q", left, want)
	}
}

func TestOpenRefused(t *testing.T) {
	f := newFixture(t)
	s, err := Open(f.path("stage"))
	f.must(err)
	if _, err := Open(f.path("stage")); !errors.Is(err, engine.KindBusy) {
		t.Errorf("in use: %v", err)
	}
	f.must(s.Close())
	s, err = Open(f.path("stage"))
	f.must(err)
	f.must(s.Close())
	f.must(os.Mkdir(f.path("strange"), 0o755))
	f.must(os.WriteFile(f.path("strange/file"), nil, 0o600))
	f.must(os.Mkdir(f.path("foreign"), 0o755))
	if os.Geteuid() == 0 {
		f.must(os.Chown(f.path("foreign"), 1000, 1000))
	} else {
		f.must(os.Remove(f.path("foreign")))
		f.must(os.Symlink("/", f.path("foreign")))
	}
	for _, name := range []string{"strange", "foreign", "strange/file"} {
		before := testkit.TakePicture(t, f.path(name))
		if _, err := Open(f.path(name)); err == nil {
			t.Errorf("%s was taken for a stage", name)
		}
		before.MustMatch(t, f.path(name))
	}
	f.must(os.Mkdir(f.path("empty"), 0o777))
	s, err = Open(f.path("empty"))
	f.must(err)
	defer s.Close()
	if info, err := os.Stat(f.path("empty")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

// TestCommitWhileCopying: what is committed while a database is copied is copied the next time,
// however long the copy takes.
func TestCommitWhileCopying(t *testing.T) {
	f := newFixture(t)
	a := f.database("app/a.db")
	f.settle(a)
	s, err := Open(f.path("stage"))
	f.must(err)
	take := func(ctx context.Context, source string, opts engine.SnapshotOptions) (*engine.Snapshot, error) {
		snap, err := engine.TakeSnapshot(ctx, source, opts)
		f.sqlite("app/a.db", "INSERT INTO t VALUES('late')")
		f.settle(a)
		return snap, err
	}
	opts := Options{Snapshot: engine.SnapshotOptions{Check: "auto"}, Take: take}
	copies, err := s.Fill(f.Context(), []string{a}, opts)
	f.must(err)
	f.must(s.Save(copies))
	f.must(s.Close())
	if copied := f.round("auto", a); len(copied) != 1 {
		t.Error("the commit is taken for one that was copied")
	}
}
