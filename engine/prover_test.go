package engine

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// A testProver records what is asked of it.
type testProver struct {
	io.Reader
	verdict  error
	deferred bool
	hashed   []byte // what Prove was given
}

func (p *testProver) Defer() { p.deferred = true }

func (p *testProver) Prove(h hash.Hash) error {
	p.hashed = h.Sum(nil)
	return p.verdict
}

// onCPUs sets how many CPUs Go uses. Such a test must not run in parallel with others.
func onCPUs(t *testing.T, n int) {
	before := runtime.GOMAXPROCS(n)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
}

// TestProver: a private file is hashed beside its check, for the reader that it came from, unless
// there is no check or no other CPU.
func TestProver(t *testing.T) {
	b := image(t)
	sum := sha256.Sum256(b)
	for _, c := range []struct {
		cpus  int
		check Check
		apart bool
	}{{2, CheckAuto, true}, {2, CheckFull, true}, {2, CheckNone, false}, {1, CheckAuto, false}} {
		onCPUs(t, c.cpus)
		p := &testProver{Reader: bytes.NewReader(b)}
		_, err := Install(t.Context(), p, filepath.Join(t.TempDir(), "new.db"), InstallOptions{Check: c.check})
		if err != nil || p.deferred != c.apart || bytes.Equal(p.hashed, sum[:]) != c.apart {
			t.Errorf("%d CPUs, check %v: %v, deferred %t, hash %x", c.cpus, c.check, err, p.deferred, p.hashed)
		}
	}
}

// TestProverRefuses: what is not whole is not installed. That error comes unchanged, and before any
// finding of the check, which it ends.
func TestProverRefuses(t *testing.T) {
	onCPUs(t, 2)
	endless := newRollback(t)
	sqlite(t, endless, endlessView+fmt.Sprintf(endlessTable, 1))
	whole, _, err := snapshot(t, endless, SnapshotOptions{Check: CheckNone})
	if err != nil {
		t.Fatal(err)
	}
	corrupt := image(t)
	copy(corrupt[len(corrupt)/2:], make([]byte, 4096))
	wrongSize := image(t)[4096:]
	for name, b := range map[string][]byte{"endless check": whole, "corrupt": corrupt, "no database": wrongSize} {
		dir := t.TempDir()
		p := &testProver{Reader: bytes.NewReader(b), verdict: errors.New("not whole")}
		start := time.Now()
		_, err := Install(t.Context(), p, filepath.Join(dir, "new.db"), InstallOptions{})
		if err != p.verdict {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(start); took > costLimit(int64(len(b))) {
			t.Errorf("%s: it took %v", name, took)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: left behind: %v", name, left)
		}
	}
}
