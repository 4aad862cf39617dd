//go:build linux

package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
	"github.com/greyforgelabs/sqlite-checkpoint/integration/testkit"
)

// newApart returns a snapshot whose copy is not on the file system of its destination.
func newApart(t *testing.T, ctx context.Context, opts SnapshotOptions) (s *Snapshot, destination string) {
	t.Helper()
	opts.TempDir = t.TempDir()
	s, err := TakeSnapshot(ctx, newRollback(t), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	s.apart, s.opts.Destination = true, filepath.Join(t.TempDir(), "copy.db")
	return s, s.opts.Destination
}

// TestTransfer: what is written elsewhere is what was checked, and nothing else.
func TestTransfer(t *testing.T) {
	var phases []Phase
	s, to := newApart(t, t.Context(), SnapshotOptions{Progress: func(p Progress) { phases = append(phases, p.Phase) }})
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(to)
	digest, _ := s.SHA256()
	if err != nil || sha256.Sum256(b) != digest {
		t.Errorf("another file was written: %v", err)
	}
	if left := testkit.Names(t, filepath.Dir(to)); !slices.Equal(left, []string{"copy.db"}) {
		t.Errorf("left %v", left)
	}
	if phases[len(phases)-1] != PhaseWrite {
		t.Errorf("phases %v", phases)
	}
}

// TestTransferFails: after an error there is no file.
func TestTransferFails(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(s *Snapshot)
		kind  Kind
		left  []string
	}{
		"misread": {func(s *Snapshot) { s.file.WriteAt([]byte("other"), 5000) }, KindTemp, nil},
		"name taken": {func(s *Snapshot) { os.WriteFile(s.opts.Destination+"-wal", nil, 0o600) }, KindExists,
			[]string{"copy.db-wal"}},
		"no directory": {func(s *Snapshot) { s.opts.Destination = "/nonexistent/copy.db" }, KindTemp, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, to := newApart(t, t.Context(), SnapshotOptions{})
			if _, err := s.SHA256(); err != nil {
				t.Fatal(err)
			}
			c.spoil(s)
			wantKind(t, s.Commit(), c.kind)
			if left := testkit.Names(t, filepath.Dir(to)); !slices.Equal(left, c.left) {
				t.Errorf("left %v", left)
			}
		})
	}
}

// TestTransferIsDurable: what is written elsewhere is on its disk before it has its name.
func TestTransferIsDurable(t *testing.T) {
	s, to := newApart(t, t.Context(), SnapshotOptions{})
	must(t, s.Commit())
	f, err := os.Open(to)
	must(t, err)
	defer f.Close()
	if n := testkit.Unwritten(t, f, 0); n > 0 {
		t.Errorf("%d pages are only in memory", n)
	}
}

// TestTransferHangs: nobody waits for a destination that hangs, and what is late is not published.
func TestTransferHangs(t *testing.T) {
	t.Parallel()
	for name, timeout := range map[string]time.Duration{
		"timeout": time.Second, "canceled": 20 * time.Second, "after the last write": time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			hang, end := context.WithTimeout(t.Context(), stalled)
			late := name == "after the last write"
			s, to := newApart(t, ctx, SnapshotOptions{Timeout: timeout, Progress: func(p Progress) {
				if p.Phase == PhaseWrite && !late {
					if name == "canceled" {
						cancel()
					}
					<-hang.Done()
				}
			}})
			defer cancel()
			if late {
				s.digest.ended()
				first := func() { s.digest.ended = func() { <-hang.Done() } }
				s.digest.ended = first // Commit waits for the digest twice
			}
			start := time.Now()
			err := s.Commit()
			if waited := time.Since(start); waited > stalled*4/5 {
				t.Errorf("gave up after %v", waited)
			}
			if name != "canceled" {
				wantKind(t, err, KindTemp)
			} else if err != context.Canceled {
				t.Error(err)
			}
			end()
			for begin := time.Now(); len(testkit.Names(t, filepath.Dir(to))) > 0; time.Sleep(time.Millisecond) {
				if time.Since(begin) > stalled {
					t.Fatalf("left %v", testkit.Names(t, filepath.Dir(to)))
				}
			}
		})
	}
}

// TestTransferSync: without a timeout of the caller, a sync takes as long as it takes.
func TestTransferSync(t *testing.T) {
	const limit = 100 * time.Millisecond
	for timeout, c := range map[time.Duration]struct {
		takes time.Duration
		want  error
	}{
		0:         {3 * limit, nil},
		time.Hour: {time.Minute, atomicfile.ErrHangs},
	} {
		s, to := newApart(t, t.Context(), SnapshotOptions{Timeout: timeout})
		var watch atomicfile.Watch
		must(t, s.writeTo(t.Context(), to, &watch))
		_, err := watch.Run(t.Context(), limit, func(ctx context.Context) error { // as if it were still syncing
			select {
			case <-ctx.Done():
			case <-time.After(c.takes):
			}
			return nil
		})
		if !errors.Is(err, c.want) {
			t.Errorf("timeout %v: %v, want %v", timeout, err, c.want)
		}
	}
}

// TestMakeDirApart: a copy that is made elsewhere is not in the directory of the destination,
// although that is open.
func TestMakeDirApart(t *testing.T) {
	to, temp := filepath.Join(t.TempDir(), "copy.db"), t.TempDir()
	s := Snapshot{opts: SnapshotOptions{Destination: to, Place: placeOf(t, to)}}
	must(t, s.makeDir(temp))
	defer closeDir(s.dir)
	if filepath.Dir(s.dir.Path()) != temp || !s.apart {
		t.Errorf("it is %s, apart %v", s.dir.Path(), s.apart)
	}
	if left := testkit.Names(t, filepath.Dir(to)); len(left) > 0 {
		t.Errorf("beside the destination there are %v", left)
	}
}

// TestCopyForFUSE: while the source is locked nothing is written to FUSE, unless that was asked
// for.
func TestCopyForFUSE(t *testing.T) {
	const inside = "SQLITE_CHECKPOINT_TEST_FUSE"
	if real, through, found := strings.Cut(os.Getenv(inside), ":"); found {
		copyForFUSE(t, real, through)
		return
	}
	testkit.NeedsRoot(t)
	real, through := t.TempDir(), t.TempDir()
	onFUSE(t, real, through, inside+"="+real+":"+through)
}

func copyForFUSE(t *testing.T, real, through string) {
	for name, temp := range map[string]string{"elsewhere": t.TempDir(), "there": through} {
		to := filepath.Join(through, name)
		var during []string
		s, err := TakeSnapshot(t.Context(), newRollback(t), SnapshotOptions{Destination: to, TempDir: temp,
			Progress: func(p Progress) {
				if p.Phase == PhaseCopy {
					during, _ = filepath.Glob(filepath.Join(real, ".sqlite-checkpoint-*", imageName))
				}
			}})
		if err != nil {
			t.Fatal(err)
		}
		if there := len(during) > 0; there != (temp == through) {
			t.Errorf("%s: the copy was made in %v", name, during)
		}
		err = s.Commit()
		s.Close()
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(real, name))
		if err != nil || info.Size() != s.Size() {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, err := TakeSnapshot(t.Context(), newRollback(t), SnapshotOptions{TempDir: through})
	if err != nil {
		t.Fatal(err)
	}
	held, err := unix.Dup(int(s.file.Fd())) // as if FUSE learned of its close late
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, func() { unix.Close(held) })
	err = s.Close()
	if left := testkit.Names(t, real); err != nil || len(left) != 2 {
		t.Errorf("%v, left %v", err, left)
	}
}

// onFUSE runs the test again where the directory through leads to real by way of FUSE.
func onFUSE(t *testing.T, real, through, env string) {
	t.Helper()
	cmd := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec",
		`"$0" "$1" "$2"; shift 2; "$@"`, testkit.Tool(t, "bindfs"), real, through,
		os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), env)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
}
