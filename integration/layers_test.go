// Package integration checks the layers of the tree and the shape of its files. The tests of the
// program as a whole are in the packages below.
package integration

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/greyforgelabs/sqlite-checkpoint"

// A layer is a directory and everything below it, except other layers.
//
//	cmd -> engine -> engine/atomicfile <- stream <- cmd
//	kong   go-sqlite3                     klauspost/compress
//	       engine/internal/...
//
// Each has the layers that it and its tests may import.
var layers = map[string][]string{
	"cmd": {"engine", "engine/atomicfile", "stream"},
	"engine": {"engine/atomicfile", "engine/internal/batchvfs", "engine/internal/osfile",
		"engine/internal/sqlitefile"},
	"stream":            {"engine/atomicfile"},
	"engine/atomicfile": {},

	"engine/internal/batchvfs":   {},
	"engine/internal/osfile":     {},
	"engine/internal/sqlitefile": {},

	"integration": {"engine", "engine/atomicfile", "stream", testkit},

	testkit: {},
}

// testkit is for the tests of every layer, and imports none.
const testkit = "integration/testkit"

// Modules that belong to one layer; tests may use them anywhere.
var owners = map[string]string{
	"github.com/alecthomas/kong":    "cmd",
	"github.com/mattn/go-sqlite3":   "engine",
	"github.com/klauspost/compress": "stream",
}

// TestLayers reads the files themselves, as go list leaves out those for other systems.
func TestLayers(t *testing.T) {
	seen := map[string]bool{}
	for _, file := range goFiles(t) {
		from := layerOf(filepath.ToSlash(filepath.Dir(file)))
		seen[from] = true
		for _, path := range imports(t, file) {
			if local, ours := strings.CutPrefix(path, module+"/"); ours {
				to := layerOf(local)
				if to == testkit && strings.HasSuffix(file, "_test.go") {
					continue
				}
				if to != from && !slices.Contains(layers[from], to) {
					t.Errorf("%s imports %s: %s may import only %q", file, path, from, layers[from])
				}
			}
			for owned, owner := range owners {
				if within(path, owned) && from != owner && !forTests(file) {
					t.Errorf("%s imports %s, which is for %s", file, path, owner)
				}
			}
		}
	}
	for _, name := range layerNames() {
		if !seen[name] {
			t.Errorf("no Go file in %s", name)
		}
	}
}

// stream is pure Go, and so are the packages that it and engine are built on: they must compile
// where there is no C compiler.
func TestStreamWithoutCgo(t *testing.T) {
	cmd := exec.Command("go", "build", "./stream/...", "./engine/atomicfile/...", "./engine/internal/...")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestTopLevelNames(t *testing.T) {
	allowed := []string{"cmd", "engine", "stream", "integration", "go.mod", "go.sum", "Makefile", "README.md",
		"LICENSE"}
	for _, name := range topLevelNames(t) {
		if !strings.HasPrefix(name, ".") && !slices.Contains(allowed, name) {
			t.Errorf("%s: the repository's top level is for %q only", name, allowed)
		}
	}
}

// topLevelNames returns the names in git, or, in an unpacked archive, those in the directory except
// bin.
func topLevelNames(t *testing.T) []string {
	var names []string
	if _, err := os.Stat("../.git"); err == nil {
		out, err := exec.Command("git", "-C", "..", "ls-files", "-z").Output()
		if err != nil {
			t.Fatalf("git ls-files: %v", err)
		}
		for file := range strings.SplitSeq(strings.Trim(string(out), "\x00"), "\x00") {
			name, _, _ := strings.Cut(file, "/")
			names = append(names, name)
		}
		return slices.Compact(names)
	}
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "bin" {
			names = append(names, e.Name())
		}
	}
	return names
}

// goFiles returns the module's Go files, relative to its root. A directory with a go.mod is another
// module.
func goFiles(t *testing.T) []string {
	var files []string
	err := fs.WalkDir(os.DirFS(".."), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." {
			_, err := os.Stat(filepath.Join("..", path, "go.mod"))
			if err == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
				return fs.SkipDir
			}
		}
		if strings.HasSuffix(path, ".go") {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func imports(t *testing.T, file string) []string {
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", file), nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, spec := range parsed.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func layerNames() []string { return slices.Collect(maps.Keys(layers)) }

// layerOf returns the innermost layer that contains dir, or dir itself.
func layerOf(dir string) string {
	best := ""
	for _, name := range layerNames() {
		if within(dir, name) && len(name) > len(best) {
			best = name
		}
	}
	if best == "" {
		return dir
	}
	return best
}

// forTests reports whether a file is not part of the program.
func forTests(file string) bool {
	return strings.HasSuffix(file, "_test.go") || within(filepath.ToSlash(file), "integration/harness") ||
		within(filepath.ToSlash(file), testkit)
}

func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }
