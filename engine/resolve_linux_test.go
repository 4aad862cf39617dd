package engine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// TestForeignLinks: root copies no database for a user who could not read it, and who has put a
// symbolic link to it where root expects a database.
func TestForeignLinks(t *testing.T) {
	testkit.NeedsRoot(t)
	const other = somebody + 1
	for name, c := range map[string]struct {
		link, owner int // user IDs
		mode        os.FileMode
		refused     bool
	}{
		"another's, private":     {somebody, other, 0o600, true},
		"root's, private":        {somebody, 0, 0o640, true},
		"another's, for all":     {somebody, other, 0o644, false},
		"their own":              {somebody, somebody, 0o600, false},
		"root's link to another": {0, other, 0o600, false},
	} {
		for _, where := range []string{"the file", "a directory", "a link of root's"} {
			t.Run(name+", "+where, func(t *testing.T) {
				db := newWAL(t)
				must(t, os.Chmod(filepath.Dir(filepath.Dir(db)), 0o755))
				must(t, os.Chmod(db, c.mode))
				must(t, os.Chown(db, c.owner, c.owner))
				source := linkTo(t, db, where, c.link)
				_, _, err := snapshot(t, source, SnapshotOptions{})
				if !c.refused {
					must(t, err)
					return
				}
				wantKind(t, err, KindForeignFile)
				if !errors.Is(err, atomicfile.ErrForeignLink) {
					t.Error(err)
				}
				comesTrue(t, source)
				_, err = Checkpoint(t.Context(), source, CheckpointOptions{})
				wantKind(t, err, KindForeignFile)
			})
		}
	}
}

// linkTo returns a path to the database through a symbolic link of a user.
func linkTo(t *testing.T, db, where string, owner int) (source string) {
	t.Helper()
	link := filepath.Join(t.TempDir(), "link")
	target, source := db, link
	switch where {
	case "a directory":
		target, source = filepath.Dir(db), filepath.Join(link, "app.db")
	case "a link of root's":
		target = link + "2"
		must(t, os.Symlink(db, target))
	}
	must(t, os.Symlink(target, link))
	must(t, os.Lchown(link, owner, owner))
	return source
}

// TestOtherNamespace: a path through /proc leads to a database in another mount namespace. The one
// that has its path here is another.
func TestOtherNamespace(t *testing.T) {
	testkit.NeedsRoot(t)
	here, there, only := newWAL(t), newRollback(t), t.TempDir()
	cmd := exec.Command(testkit.Tool(t, "unshare"), "--mount", "sh", "-ec",
		`mount --bind "$0" "$1"; mount -t tmpfs none "$2"; cp "$0/app.db" "$2"; echo; read wait`,
		filepath.Dir(there), filepath.Dir(here), only)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	out.Read(make([]byte, 1))
	root := fmt.Sprint("/proc/", cmd.Process.Pid, "/root")
	for _, db := range []string{here, filepath.Join(only, "app.db")} {
		_, _, err = snapshot(t, root+db, SnapshotOptions{})
		wantKind(t, err, KindUnreadable)
		if !errors.Is(err, ErrNamespace) {
			t.Error(err)
		}
		comesTrue(t, root+db)
	}
	if _, _, err = snapshot(t, "/proc/self/root"+here, SnapshotOptions{}); err != nil {
		t.Error("this namespace's own:", err)
	}
	in.Close()
	cmd.Wait()
}

// TestSwappedDirectory: between two looks the directory becomes another one, which has the same
// database with another -wal.
func TestSwappedDirectory(t *testing.T) {
	db, other := newWAL(t), newWAL(t)
	open(t, db, addRows)
	open(t, other, addRows)
	must(t, os.Remove(other))
	must(t, os.Link(db, other))
	s := openForTest(t, db)
	p := &readTx{source: s, how: accessShared}
	must(t, unix.Renameat2(unix.AT_FDCWD, filepath.Dir(db), unix.AT_FDCWD, filepath.Dir(other), unix.RENAME_EXCHANGE))
	if err := p.connect(t.Context(), ""); !errors.Is(err, errDisturbed) {
		t.Error(err)
	}
	if _, err := s.connect([]string{"-wal"}, "mode=rw"); !errors.Is(err, errDisturbed) {
		t.Error(err)
	}
}
