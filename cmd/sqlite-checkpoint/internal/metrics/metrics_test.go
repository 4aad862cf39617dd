package metrics

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/engine/atomicfile"
)

func set(t *testing.T, file string, series Series, values Values) {
	t.Helper()
	if err := Update(file, func(map[Series]Values) Changes { return Changes{series: values} }); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, file string) (map[Series]Values, error) {
	t.Helper()
	dir, name, err := atomicfile.OpenPlaceOf(file)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	return read(dir, name)
}

func TestUpdate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.prom")
	odd := Series{"backup", "/srv/\"odd\"\\n\n\xff/é.db"}
	set(t, file, odd, Values{LastSuccess: 1.5e9, Running: 1})
	set(t, file, Series{"verify", "-"}, Values{ExitStatus: 8})
	set(t, file, Series{"gone", "-"}, Values{ExitStatus: 8})
	set(t, file, Series{"gone", "-"}, nil)
	set(t, file, odd, Values{LastAttempt: 1.6e9, Running: 0})
	all, err := load(t, file)
	want := map[Series]Values{
		{"backup", "/srv/\"odd\"\\n\n\\xff/é.db"}: {LastSuccess: 1.5e9, LastAttempt: 1.6e9, Running: 0},
		{"verify", "-"}: {ExitStatus: 8},
	}
	if err != nil || !reflect.DeepEqual(all, want) {
		t.Errorf("%v, error %v", all, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
}

// Processes that share a file lose none of each other's values.
func TestUpdatesAtTheSameTime(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.prom")
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() { set(t, file, Series{"backup", fmt.Sprint(i)}, Values{LastSuccess: 1}) })
	}
	group.Wait()
	if all, err := load(t, file); err != nil || len(all) != 20 {
		t.Errorf("%d of 20, error %v", len(all), err)
	}
}

// A mistyped file name must not cost a database.
func TestForeignFiles(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"db": "SQLite format 3\x00", "text": "hello\n", "other.prom": "node_load1{} 3\n", "empty line": "\n",
		"cut":       `sqlite_checkpoint_running{command="backup",database="/a`,
		"no number": `sqlite_checkpoint_running{command="backup",database="/a"} x`,
		"foreign":   `node_load1{command="backup",database="/a"} 3`,
		"long":      strings.Repeat("x", 1<<17),
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		nothing := func(map[Series]Values) Changes { return nil }
		if err := Update(file, nothing); !errors.Is(err, ErrForeign) || !errors.Is(Check(file), ErrForeign) {
			t.Errorf("%s: error %v", name, err)
		}
		if now, err := os.ReadFile(file); err != nil || string(now) != content {
			t.Errorf("%s was changed", name)
		}
	}
	if err := Check(dir); !errors.Is(err, ErrForeign) {
		t.Errorf("a directory: %v", err)
	}
}
