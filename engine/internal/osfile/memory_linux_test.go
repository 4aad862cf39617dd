package osfile

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

// TestHierarchyRoom: the room in a cgroup is the minimum over it and those above it, as far as they
// are visible.
func TestHierarchyRoom(t *testing.T) {
	for _, h := range []hierarchy{version1, version2} {
		h.root = t.TempDir()
		group := func(name, limit, usage, unused string) {
			dir := filepath.Join(h.root, name)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			stat := "cache 7\n" + h.unused + " " + unused + "\nactive_file 9\n"
			files := map[string]string{h.limit: limit + "\n", h.usage: usage + "\n", "memory.stat": stat}
			for file, text := range files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		check := func(name string, want int64) {
			t.Helper()
			if got := h.room(name); got != want {
				t.Errorf("%s of %s: %d, not %d", name, h.limit, got, want)
			}
		}
		check("/a/b", math.MaxInt64)
		group("a/b", "1000", "900", "300")
		group("a", "1500", "1450", "310")
		check("/a/b", 360)
		check("/a/b/not/here", 360)
		check("/a", 360)
		group("a/b", "1000", "990", "300")
		check("/a/b", 310)
		group("a/b", "max", "990", "300")
		check("/a/b", 360)
		group(".", "5000", "4999", "1")
		check("/a/b", 2)
		check("/../elsewhere", 2)
	}
}

func TestCacheRoom(t *testing.T) {
	if room := CacheRoom(); room < 1<<20 || room > 1<<50 {
		t.Errorf("there is room for %d bytes", room)
	}
	if room, dirty := CacheRoom(), DirtyRoom(); dirty < room/2 {
		t.Errorf("there is room for %d MiB, of which %d MiB are counted", room>>20, dirty>>20)
	}
}
