package copies

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/integration/harness"
)

// TestPruneKilledAtEveryCall kills prune at the Nth call of each kind that reads or changes files,
// for N = 1, 2, 3 ... What is left is whole, and the next prune finishes the work.
func TestPruneKilledAtEveryCall(t *testing.T) {
	b := harness.NewBench(t)
	b.Bash(onePage).Exits(0)
	prune := []string{"prune", "-q", "--keep-last", "2", "dir"}
	datedCopies(b, 6)
	b.Run(prune...).Exits(0)
	want := harness.Names(b, b.Path("dir"))
	kills := map[string]int{}
	calls := []string{"unlinkat", "fsync", "openat", "getdents64", "newfstatat", "pread64", "read", "close"}
	for _, call := range calls {
		for n, spared := 1, 0; spared < 3; n++ {
			datedCopies(b, 6)
			b.Wrap = []string{harness.Tool(b, "strace"), "-f", "-qq", "-o", "/dev/null",
				"-e", "trace=" + call, "-e", fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", call, n)}
			killed := b.Run(prune...).Code != 0
			b.Wrap = nil
			if spared++; killed {
				kills[call], spared = kills[call]+1, 0
			}
			noneLacksItsSidecar(b)
			if left := b.Proven("dir"); !slices.Contains(left, want[0]) || !slices.Contains(left, want[2]) {
				t.Errorf("kept copies are missing: %q", left)
			}
			b.Run(prune...).Exits(0)
			if after := harness.Names(b, b.Path("dir")); !slices.Equal(after, want) {
				t.Errorf("after the next prune: %q, want %q", after, want)
			}
			if t.Failed() {
				t.Fatalf("killed at %s %d", call, n)
			}
		}
	}
	t.Logf("killed at: %v", kills)
	// strace counts per thread, and the 8 removals may be spread over several.
	if kills["unlinkat"] < 4 || kills["fsync"] != 1 {
		t.Errorf("killed at %v, want at removals and at the sync between them", kills)
	}
}

// datedCopies creates dir again, with so many copies of image.
func datedCopies(b *harness.Bench, count int) {
	b.Helper()
	b.Check(os.RemoveAll(b.Path("dir")))
	b.Check(os.Mkdir(b.Path("dir"), 0o700))
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range count {
		name := b.Path("dir/app-" + at.Add(time.Duration(i)*time.Hour).Format("20060102T150405Z") + ".db")
		harness.CopyFile(b, b.Path("image"), name, 0o600)
		sidecarOfImage(b, name)
	}
}

// sidecarOfImage writes the sidecar of a copy of image.
func sidecarOfImage(b *harness.Bench, copy string) {
	b.Helper()
	digest, _, _ := strings.Cut(string(b.Read("image.sha256")), " ")
	b.Check(os.WriteFile(copy+".sha256", []byte(digest+"  "+filepath.Base(copy)+"\n"), 0o600))
}

func noneLacksItsSidecar(b *harness.Bench) {
	b.Helper()
	there := harness.Names(b, b.Path("dir"))
	for _, name := range there {
		if strings.HasSuffix(name, ".db") && !slices.Contains(there, name+".sha256") {
			b.Errorf("%s has lost its sidecar", name)
		}
	}
}

// TestBackupsBesidePrune lets two backups and a prune work in one directory at the same time, a
// hundred times.
func TestBackupsBesidePrune(t *testing.T) {
	const keep = 3
	b := harness.NewBench(t)
	b.Bash("sqlite3 app.db 'PRAGMA journal_mode=WAL; CREATE TABLE t(x)'; mkdir dir").Exits(0)
	b.Run("backup", "-q", "app.db", "dir").Exits(0)
	for round := range 100 {
		before := b.Proven("dir")
		var made [2]string
		var all sync.WaitGroup
		for i := range made {
			flags := []string{"backup", "--json", "app.db", "dir"}
			if round%2 == 1 {
				flags = append(flags, "--zstd")
			}
			all.Go(func() {
				o := b.Run(flags...)
				if o.Code != 0 {
					t.Errorf("%s: %d\n%s", o.Command, o.Code, o.Stderr)
					return
				}
				made[i] = strings.TrimPrefix(o.JSON()["destination"].(string), "dir/")
			})
		}
		all.Go(func() {
			if o := b.Run("prune", "--keep-last", fmt.Sprint(keep), "dir"); o.Code != 0 {
				t.Errorf("%s: %d\n%s%s", o.Command, o.Code, o.Stdout, o.Stderr)
			}
		})
		all.Wait()
		after := b.Proven("dir")
		for _, name := range append(made[:], before[max(0, len(before)-keep+len(made)):]...) {
			if !slices.Contains(after, name) {
				t.Errorf("%s is lost: there is %q", name, after)
			}
		}
		if len(after) > keep+len(made) || t.Failed() {
			t.Fatalf("round %d: %q, before %q, made %q", round, after, before, made)
		}
	}
}

// TestListIsFast lists 10,000 copies of 1 GiB, which list must not read.
func TestListIsFast(t *testing.T) {
	b := harness.NewBench(t)
	b.Check(os.Mkdir(b.Path("dir"), 0o700))
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 10_000 {
		name := "dir/app-" + at.Add(time.Duration(i)*time.Hour).Format("20060102T150405Z") + ".db"
		if i%2 == 1 {
			name += ".zst"
		}
		b.Write(name, nil)
		b.Check(os.Truncate(b.Path(name), 1<<30))
		b.Write(name+".sha256", nil)
	}
	const limit = 3 * time.Second
	fastest := time.Hour
	for tries := 0; fastest > limit && tries < 10; tries++ { // the machine may be busy
		o := b.Run("list", "dir").Exits(0)
		if !strings.Contains(o.Stdout, "dir: 10,000 copies") {
			t.Errorf("%s", o.Stdout[max(0, len(o.Stdout)-200):])
		}
		fastest = min(fastest, o.Took)
	}
	t.Logf("%v", fastest)
	if fastest > limit {
		t.Errorf("took %v", fastest)
	}
}
