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

// The limits in CONTRIBUTING: lines of a function and of a file, columns of a line and of a comment
// on a line of its own. A tab has four columns. The rows of a test's table do not count as lines of
// a function or a file.
const (
	maxFunction = 45
	maxFile     = 300
	maxColumns  = 120
	maxComment  = 100
)

// Files, functions and lines are short enough to read at once.
func TestShape(t *testing.T) {
	for _, file := range goFiles(t) {
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
		checkLengths(t, file, count)
	}
}

// checkLengths checks the length of a file, which has count lines, and of its functions.
func checkLengths(t *testing.T, file string, count int) {
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, filepath.Join("..", file), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if lines := count - tableLines(files, file, parsed); lines > maxFile {
		t.Errorf("%s: %d lines, at most %d", file, lines, maxFile)
	}
	for _, declaration := range parsed.Decls {
		f, ok := declaration.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		if lines := linesOf(files, f) - tableLines(files, file, f); lines > maxFunction {
			t.Errorf("%s: %s has %d lines, at most %d", file, f.Name.Name, lines, maxFunction)
		}
	}
}

// tableLines counts the lines within the tables of a test file: literals of at least three
// elements, and calls of a function add, a row each.
func tableLines(files *token.FileSet, file string, node ast.Node) (count int) {
	if !within(filepath.ToSlash(file), "integration") && !forTests(file) {
		return 0
	}
	ast.Inspect(node, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			if len(n.Elts) >= 3 {
				count += linesOf(files, n) - 1
				return false
			}
		case *ast.ExprStmt:
			if addsRow(n.X) {
				count += linesOf(files, n)
				return false
			}
		}
		return true
	})
	return count
}

// addsRow reports whether a method or function add is called, whatever is done with its result.
func addsRow(node ast.Expr) bool {
	call, ok := node.(*ast.CallExpr)
	if !ok {
		return false
	}
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name == "add"
	case *ast.SelectorExpr:
		return f.Sel.Name == "add" || addsRow(f.X)
	}
	return false
}

func linesOf(files *token.FileSet, node ast.Node) int {
	return files.Position(node.End()).Line - files.Position(node.Pos()).Line + 1
}
