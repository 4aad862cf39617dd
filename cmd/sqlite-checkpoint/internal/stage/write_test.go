package stage

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// A file of our own has the owner of its live directory. It is replaced when it differs, and not
// touched otherwise.
func TestWrite(t *testing.T) {
	testkit.NeedsRoot(t)
	f := newFixture(t)
	f.must(os.Mkdir(f.path("live"), 0o700))
	f.must(os.Chown(f.path("live"), 1000, 1001))
	s := f.temporary()
	live := f.path("live/manifest")
	for _, content := range []string{"one", "two", "two"} {
		before := testkit.TakePicture(t, s.Dir())
		modified := time.Unix(1e9, 0)
		f.must(s.Write(live, []byte(content), modified))
		f.must(s.WriteAside("aside", []byte(content)))
		for _, name := range []string{s.Path(live), s.Aside("aside")} {
			if got, err := os.ReadFile(name); err != nil || string(got) != content {
				t.Errorf("%s is %q, %v", name, got, err)
			}
		}
		if before.Diff(testkit.TakePicture(t, s.Dir())) == "" {
			if content == "two" {
				return
			}
			t.Fatal("nothing was written")
		}
		info, err := os.Lstat(s.Path(live))
		f.must(err)
		if info.Mode() != 0o600 || !info.ModTime().Equal(modified) || ownerOf(info) != [2]uint32{1000, 1001} {
			t.Errorf("%v, %v, owner %v", info.Mode(), info.ModTime(), ownerOf(info))
		}
	}
	t.Error("what is right was written again")
}

// Each attribute alone is copied. A change of owner or group clears mode bits.
func TestAttributesAlone(t *testing.T) {
	testkit.NeedsRoot(t)
	f := newFixture(t)
	for _, c := range []struct {
		uid, gid  int
		mode, had os.FileMode
	}{
		{0, 0, 0o600, 0o600}, {1000, 0, 0o600, 0o600}, {0, 1001, 0o600, 0o600}, {0, 0, 0o640, 0o600},
		{1000, 0, 0o755 | os.ModeSetuid, 0o755 | os.ModeSetuid},
		{0, 1001, 0o755 | os.ModeSetuid, 0o755 | os.ModeSetuid},
	} {
		model, path := f.path("model"), f.path("copy")
		for _, name := range []string{model, path} {
			os.Remove(name)
			f.must(os.WriteFile(name, nil, 0o600))
		}
		f.must(os.Chown(model, c.uid, c.gid))
		f.must(os.Chmod(model, c.mode))
		f.must(os.Chmod(path, c.had))
		f.must(copyAttributes(model, path))
		info, err := os.Lstat(path)
		f.must(err)
		if ownerOf(info) != [2]uint32{uint32(c.uid), uint32(c.gid)} || info.Mode() != c.mode {
			t.Errorf("%+v: owner %v, mode %v", c, ownerOf(info), info.Mode())
		}
	}
}

// The records of another version are not used.
func TestRecordsOfAnotherVersion(t *testing.T) {
	f := newFixture(t)
	for version, want := range map[int]int{recordsVersion: 1, recordsVersion + 1: 0, 0: 0} {
		var data bytes.Buffer
		f.must(gob.NewEncoder(&data).Encode(recordsFile{version, map[string]record{"/a.db": {}}}))
		f.must(os.WriteFile(f.path("records"), data.Bytes(), 0o600))
		if got := readRecords(f.path("records")); len(got) != want {
			t.Errorf("version %d: %d records", version, len(got))
		}
	}
}

// The moment of a copy is that of its read transaction, not that of the wait for a lock.
func TestMoment(t *testing.T) {
	f := newFixture(t)
	a := f.database("app/a.db")
	var taken time.Time
	opts := Options{Take: func(ctx context.Context, source string, o engine.SnapshotOptions) (*engine.Snapshot, error) {
		time.Sleep(10 * time.Millisecond)
		taken = time.Now()
		return engine.TakeSnapshot(ctx, source, o)
	}}
	copies, err := f.temporary().Fill(t.Context(), []string{a}, opts)
	f.must(err)
	if c := copies[0]; c.Err != nil || c.Moment.Before(taken) || c.Moment.After(time.Now()) {
		t.Errorf("%v, the copy began at %v, its moment is %v", c.Err, taken, c.Moment)
	}
}

func ownerOf(info os.FileInfo) [2]uint32 {
	stat := info.Sys().(*syscall.Stat_t)
	return [2]uint32{stat.Uid, stat.Gid}
}

// The kind of each failure: one that more room would mend, one that root would, and others.
func TestFailureKinds(t *testing.T) {
	for err, want := range map[error]engine.Kind{
		unix.ENOSPC: engine.KindNoSpace, unix.EDQUOT: engine.KindNoSpace, unix.EPERM: engine.KindNotOwner,
		unix.EIO: engine.KindTemp, unix.EACCES: engine.KindTemp,
	} {
		for _, wrapped := range []error{err, &os.PathError{Op: "open", Path: "/x", Err: err},
			&os.LinkError{Op: "rename", Old: "/x", New: "/y", Err: err}} {
			got := failure("create", "/stage/x", wrapped)
			if !errors.Is(got, want) || got.Error() != "create /stage/x: "+err.Error() {
				t.Errorf("%v: %v, want %s", wrapped, got, want)
			}
		}
	}
	known := &engine.Error{Kind: engine.KindExists}
	if got := failure("create", "/stage/x", known); got != error(known) {
		t.Errorf("%v", got)
	}
}

// A directory that was removed meanwhile keeps the attributes that it has, and one that is right is
// not touched.
func TestDirectories(t *testing.T) {
	f := newFixture(t)
	s := f.temporary()
	live := []string{f.path("app"), f.path("gone")}
	f.must(s.Directories(live))
	before := testkit.TakePicture(t, s.Dir())
	f.must(s.Directories(live))
	before.MustMatch(t, s.Dir())
	a, err := os.Lstat(live[0])
	f.must(err)
	b, err := os.Lstat(s.Path(live[0]))
	f.must(err)
	if a.Mode() != b.Mode() || !a.ModTime().Equal(b.ModTime()) {
		t.Errorf("%v %v, want %v %v", b.Mode(), b.ModTime(), a.Mode(), a.ModTime())
	}
}
