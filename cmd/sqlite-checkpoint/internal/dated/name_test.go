package dated

import (
	"slices"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 999, time.FixedZone("", 3600))

func TestNames(t *testing.T) {
	for _, c := range []struct {
		path string
		zstd bool
		next int
		want string
	}{
		{"/srv/app.db", false, 0, "app-20261123T110000Z.db"},
		{"/srv/app.db", true, 0, "app-20261123T110000Z.db.zst"},
		{"app.db", false, 1, "app-20261123T110000Z-2.db"},
		{"app.db", true, 9, "app-20261123T110000Z-10.db.zst"},
		{"db.sqlite3", false, 0, "db-20261123T110000Z.sqlite3"},
		{"app", false, 0, "app-20261123T110000Z"},
		{"app", true, 0, "app-20261123T110000Z.zst"},
		{".db", false, 0, ".db-20261123T110000Z"},
		{"a.b.db", false, 0, "a.b-20261123T110000Z.db"},
		{"app.zst", false, 0, "app.zst-20261123T110000Z"},
		{"app.zst", true, 0, "app.zst-20261123T110000Z.zst"},
		{"app.sha256", false, 0, "app.sha256-20261123T110000Z"},
		{"v1.0-rc", false, 0, "v1.0-rc-20261123T110000Z"},
		{"app.", false, 0, "app.-20261123T110000Z"},
		{"app-20261123T110000Z.db", false, 0, "app-20261123T110000Z-20261123T110000Z.db"},
		{"a\nb\xff.db", false, 0, "a\nb\xff-20261123T110000Z.db"},
	} {
		n := New(c.path, noon, c.zstd)
		n.Sequence += c.next
		if n.String() != c.want {
			t.Errorf("%s: %s, want %s", c.path, n, c.want)
		}
		if back, ok := Parse(n.String()); !ok || back != n {
			t.Errorf("%s is read as %+v, %v", n, back, ok)
		}
	}
}

func TestNotNames(t *testing.T) {
	for _, name := range []string{
		"", "app.db", "app-20261123T110000Z.db.sha256", "-20261123T110000Z.db", "app-20261123T110000.db",
		"app-20261323T110000Z.db", "app-20261123T250000Z.db", "app-20261123T110000Z-1.db", "app-20261123T110000Z-02.db",
		"app-20261123T110000Z-.db", "app20261123T110000Z.db", "app-20261123T110000Z.db.gz.zst.1",
		"app-20261123T110000Z.tar.gz",
		"app-20261123T110000Z.", "app-20261123T110000Z.zst.zst", "app-20261123T110000Z (copy).db",
	} {
		if n, ok := Parse(name); ok {
			t.Errorf("%q is %+v", name, n)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("app-20261123T110000Z-2.db.zst")
	f.Fuzz(func(t *testing.T, name string) {
		if n, ok := Parse(name); ok && n.String() != name {
			t.Errorf("%q becomes %q", name, n)
		}
	})
}

func TestOrder(t *testing.T) {
	want := []string{
		"b-20251231T235959Z.db", "a-20261123T110000Z.db", "a-20261123T110000Z-2.db", "a-20261123T110000Z-10.db",
		"a-20261123T110001Z.db",
	}
	var names []Name
	for _, name := range want {
		n, _ := Parse(name)
		names = append([]Name{n}, names...)
	}
	slices.SortFunc(names, Compare)
	for i, n := range names {
		if n.String() != want[i] {
			t.Errorf("%d: %s, want %s", i, n, want[i])
		}
	}
}

func TestChoose(t *testing.T) {
	all := []string{"app.db", "app.sqlite", "other.db"}
	for _, c := range []struct {
		databases  []string
		name, want string
	}{
		{all, "app.db", "app.db"}, {all, "other", "other.db"}, {all[:1], "", "app.db"},
		{all, "app", ""}, {all, "", ""}, {all, "no", ""}, {nil, "", ""},
	} {
		if got, err := Choose(c.databases, c.name); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q of %q: %q, %v", c.name, c.databases, got, err)
		}
	}
}
