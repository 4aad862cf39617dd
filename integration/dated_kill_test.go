package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A copyList is what list says of a directory.
type copyList struct {
	Copies []struct{ Name string }
}

// proven are the names of the copies in dir, the oldest first, all of which prove.
func (b *bench) proven(dir string) (names []string) {
	b.Helper()
	var found copyList
	b.check(json.Unmarshal([]byte(b.run("list", "--json", "--verify", dir).exits(0).stdout), &found))
	for _, c := range found.Copies {
		names = append(names, c.Name)
	}
	return names
}

// TestPruneKilledAtEveryCall kills prune at the Nth call of each kind that looks at or changes
// files, for N = 1, 2, 3 ... What is left is whole, and the next prune finishes the work.
func TestPruneKilledAtEveryCall(t *testing.T) {
	b := newBench(t)
	b.bash(onePage).exits(0)
	prune := []string{"prune", "-q", "--keep-last", "2", "dir"}
	b.datedCopies(6)
	b.run(prune...).exits(0)
	want := names(b, b.path("dir"))
	kills := map[string]int{}
	calls := []string{"unlinkat", "fsync", "openat", "getdents64", "newfstatat", "pread64", "read", "close"}
	for _, call := range calls {
		for n, spared := 1, 0; spared < 3; n++ {
			b.datedCopies(6)
			b.wrap = []string{tool(b, "strace"), "-f", "-qq", "-o", "/dev/null",
				"-e", "trace=" + call, "-e", fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", call, n)}
			killed := b.run(prune...).code != 0
			b.wrap = nil
			if spared++; killed {
				kills[call], spared = kills[call]+1, 0
			}
			b.noneLacksItsSidecar()
			if left := b.proven("dir"); !slices.Contains(left, want[0]) || !slices.Contains(left, want[2]) {
				t.Errorf("kept copies are missing: %q", left)
			}
			b.run(prune...).exits(0)
			if after := names(b, b.path("dir")); !slices.Equal(after, want) {
				t.Errorf("after the next prune: %q, want %q", after, want)
			}
			if t.Failed() {
				t.Fatalf("killed at %s %d", call, n)
			}
		}
	}
	t.Logf("killed at: %v", kills)
	if kills["unlinkat"] != 8 || kills["fsync"] != 1 {
		t.Errorf("killed at %v, want at each of 8 removals and at the sync between them", kills)
	}
}

// datedCopies makes dir anew, with so many copies of image.
func (b *bench) datedCopies(count int) {
	b.Helper()
	b.check(os.RemoveAll(b.path("dir")))
	b.check(os.Mkdir(b.path("dir"), 0o700))
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range count {
		name := b.path("dir/app-" + at.Add(time.Duration(i)*time.Hour).Format("20060102T150405Z") + ".db")
		copyFile(b, b.path("image"), name, 0o600)
		b.sidecarOfImage(name)
	}
}

// sidecarOfImage writes the sidecar of a copy of image.
func (b *bench) sidecarOfImage(copy string) {
	b.Helper()
	digest, _, _ := strings.Cut(string(b.read("image.sha256")), " ")
	b.check(os.WriteFile(copy+".sha256", []byte(digest+"  "+filepath.Base(copy)+"\n"), 0o600))
}

func (b *bench) noneLacksItsSidecar() {
	b.Helper()
	there := names(b, b.path("dir"))
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
	b := newBench(t)
	b.bash("sqlite3 app.db 'PRAGMA journal_mode=WAL; CREATE TABLE t(x)'; mkdir dir").exits(0)
	b.run("backup", "-q", "app.db", "dir").exits(0)
	for round := range 100 {
		before := b.proven("dir")
		var made [2]string
		var all sync.WaitGroup
		for i := range made {
			flags := []string{"backup", "--json", "app.db", "dir"}
			if round%2 == 1 {
				flags = append(flags, "--zstd")
			}
			all.Go(func() {
				o := b.run(flags...)
				if o.code != 0 {
					t.Errorf("%s: %d\n%s", o.command, o.code, o.stderr)
					return
				}
				made[i] = strings.TrimPrefix(o.json()["destination"].(string), "dir/")
			})
		}
		all.Go(func() {
			if o := b.run("prune", "--keep-last", fmt.Sprint(keep), "dir"); o.code != 0 {
				t.Errorf("%s: %d\n%s%s", o.command, o.code, o.stdout, o.stderr)
			}
		})
		all.Wait()
		after := b.proven("dir")
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

// TestListIsFast lists 10,000 copies, which it does not read: each of them is 1 GiB long.
func TestListIsFast(t *testing.T) {
	b := newBench(t)
	b.check(os.Mkdir(b.path("dir"), 0o700))
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 10_000 {
		name := "dir/app-" + at.Add(time.Duration(i)*time.Hour).Format("20060102T150405Z") + ".db"
		if i%2 == 1 {
			name += ".zst"
		}
		b.write(name, nil)
		b.check(os.Truncate(b.path(name), 1<<30))
		b.write(name+".sha256", nil)
	}
	fastest := time.Hour
	for tries := 0; fastest > time.Second && tries < 10; tries++ { // the machine may be busy
		o := b.run("list", "dir").exits(0)
		if !strings.Contains(o.stdout, "dir: 10,000 copies") {
			t.Errorf("%s", o.stdout[max(0, len(o.stdout)-200):])
		}
		fastest = min(fastest, o.took)
	}
	t.Logf("%v", fastest)
	if fastest > time.Second {
		t.Errorf("took %v", fastest)
	}
}
