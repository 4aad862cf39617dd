package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/greyforgelabs/sqlite-checkpoint/cmd/sqlite-checkpoint/internal/retention"
	"github.com/greyforgelabs/sqlite-checkpoint/stream"
)

// TestReplacedCopyIsNotProven: a copy that was replaced since it was listed is not proven, even if
// it is whole.
func TestReplacedCopyIsNotProven(t *testing.T) {
	const name = "app-20261123T101500Z.db"
	dir := t.TempDir()
	image := make([]byte, 512)
	copy(image, "SQLite format 3\x00\x02\x00\x01\x01\x00\x40\x20\x20\x00\x00\x00\x01\x00\x00\x00\x01")
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(name, image)
	write(name+".sha256", []byte(stream.FormatSidecar(sha256.Sum256(image), name)))
	place, err := openCopyDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer place.Close()
	found, err := readCopyDir(place, "")
	if err != nil || len(found.copies) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	c := found.copies[0]
	if c.prove(t.Context(), io.Discard); !c.proven {
		t.Fatal(c.problem)
	}
	c.proven = false
	write("other", image)
	if err := os.Rename(filepath.Join(dir, "other"), filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
	if c.prove(t.Context(), io.Discard); c.proven || !strings.Contains(c.problem.Error(), "changed since") {
		t.Errorf("proven: %v, %v", c.proven, c.problem)
	}
}

// TestPruneWhileTheNewestChanges: nothing is removed unless the newest copy is still the proven
// one.
func TestPruneWhileTheNewestChanges(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"app-20261122T101500Z.db", "app-20261123T101500Z.db"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found := copiesIn(t, dir)
	old, newest := found.copies[0], found.copies[1]
	if err := os.WriteFile(newest.path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := pruneResult{Databases: []prunedDatabase{{newest: newest, doomed: []*datedCopy{old}}}}
	if err := r.apply(found); err != nil || r.Removed > 0 || old.gone() {
		t.Errorf("%v, %d removed", err, r.Removed)
	}
}

// copiesIn reads a directory of copies.
func copiesIn(t *testing.T, dir string) *copyDir {
	t.Helper()
	place, err := openCopyDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { place.Close() })
	found, err := readCopyDir(place, "")
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestWithoutDigest: a newest copy without a digest may still be getting one; an old one is not.
func TestWithoutDigest(t *testing.T) {
	dir := t.TempDir()
	old, newest := filepath.Join(dir, "app-20261122T101500Z.db"), filepath.Join(dir, "app-20261123T101500Z.db")
	for _, c := range []struct {
		names []string
		want  bool
	}{{[]string{old, newest, newest + ".sha256"}, true}, {[]string{old, old + ".sha256", newest}, false}} {
		for _, name := range []string{old, newest} {
			os.Remove(name + ".sha256")
		}
		for _, name := range c.names {
			if err := os.WriteFile(name, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := copiesIn(t, dir).hasDigests(); got != c.want {
			t.Errorf("%q: %v", c.names, got)
		}
	}
}

// TestProtect: whatever the policy says, the newest copy is kept, and so is the newest that is not
// dated in the future.
func TestProtect(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		hours []int // from now, the newest first
		kept  []int
	}{
		{nil, nil}, {[]int{-1}, []int{0}}, {[]int{-1, -2}, []int{0}}, {[]int{0, -1}, []int{0}}, {[]int{1}, []int{0}},
		{[]int{2, 1, 0, -1}, []int{0, 2}}, {[]int{1, -1, -2}, []int{0, 1}}, {[]int{2, 1}, []int{0}},
	} {
		var times []time.Time
		for _, hours := range c.hours {
			times = append(times, now.Add(time.Duration(hours)*time.Hour))
		}
		for _, ruled := range []bool{false, true} {
			reasons := make([][]string, len(times))
			for i := range reasons {
				if ruled {
					reasons[i] = []string{"rule"}
				}
			}
			protect(times, reasons, now)
			for i, reason := range reasons {
				want := ruled || slices.Contains(c.kept, i)
				if (len(reason) > 0) != want || ruled && (len(reason) != 1 || reason[0] != "rule") {
					t.Errorf("%v: copy %d: %q", c.hours, i, reason)
				}
			}
		}
	}
}

// TestDecide: a copy that is not proven is neither counted nor removed, and if it is the newest,
// no other copy is removed either.
func TestDecide(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for proven, want := range map[string]string{
		"1111": "keep 3, remove 2 1 0, leave alone", "1011": "keep 3, remove 2 0, leave alone 1",
		"0101": "keep 3, remove 1, leave alone 2 0", "1110": "keep 2 1 0, remove, leave alone 3",
		"0000": "keep, remove, leave alone 3 2 1 0", "111f": "keep 8 2, remove 1 0, leave alone", // f: the future
	} {
		var copies []*datedCopy // the oldest first
		for i, digit := range proven {
			c := &datedCopy{proven: digit != '0'}
			c.Database, c.Time = "app.db", now.Add(time.Duration(i-5)*time.Hour)
			if digit == 'f' {
				c.Time = c.Time.Add(5 * time.Hour)
			}
			copies = append(copies, c)
		}
		d := decide("app.db", copies, retention.Policy{Last: 1}, now)
		if (d.Refused != "") != (proven[3] == '0') || len(d.doomed) != len(d.Remove) {
			t.Errorf("%s: refused %q, doomed %d of %d", proven, d.Refused, len(d.doomed), len(d.Remove))
		}
		if len(d.Keep) > 0 && !slices.Equal(d.Keep[0].Reasons, []string{"last snapshot"}) {
			t.Errorf("%s: kept for %q", proven, d.Keep[0].Reasons)
		}
		var got []string
		for _, part := range []struct {
			what string
			of   []prunedCopy
		}{{"keep", d.Keep}, {"remove", d.Remove}, {"leave alone", d.LeftAlone}} {
			for _, c := range part.of {
				part.what += fmt.Sprintf(" %d", 5+c.Time.Sub(now)/time.Hour)
			}
			got = append(got, part.what)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: %q, want %s", proven, got, want)
		}
	}
}
