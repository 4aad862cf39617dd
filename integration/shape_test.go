package integration

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What CONTRIBUTING asks of the program: the most lines of a function and of a file, and the most
// columns of a line and of a comment that has the line to itself. A tab has four columns.
const (
	maxFunction = 45
	maxFile     = 300
	maxColumns  = 120
	maxComment  = 100
)

// A file of the program is short enough to be read at once, and so are its functions and lines.
func TestShape(t *testing.T) {
	for _, file := range goFiles(t) {
		if layer, _, _ := strings.Cut(file, "/"); forTests(file) || layer == "integration" {
			continue
		}
		data, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for line := range strings.Lines(string(data)) {
			count++
			text := strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\t", "    ")
			columns, limit := len([]rune(text)), maxColumns
			if strings.HasPrefix(strings.TrimSpace(text), "// ") {
				limit = maxComment
			}
			if columns > limit {
				t.Errorf("%s:%d: %d columns, at most %d", file, count, columns, limit)
			}
		}
		if count > maxFile {
			t.Errorf("%s: %d lines, at most %d", file, count, maxFile)
		}
		checkFunctions(t, file)
	}
}

func checkFunctions(t *testing.T, file string) {
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, filepath.Join("..", file), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, declaration := range parsed.Decls {
		f, ok := declaration.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		first, last := files.Position(f.Pos()).Line, files.Position(f.End()).Line
		if lines := last - first + 1; lines > maxFunction {
			t.Errorf("%s: %s has %d lines, at most %d", file, f.Name.Name, lines, maxFunction)
		}
	}
}
