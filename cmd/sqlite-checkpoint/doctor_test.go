package main

import (
	"go/ast"
	"go/token"
	"strconv"
	"testing"

	"github.com/greyforgelabs/sqlite-checkpoint/engine"
)

func TestEveryFindingHasARemedy(t *testing.T) {
	found := 0
	values(sources(t, "../../engine/finding.go"), func(spec *ast.ValueSpec) {
		for i, value := range spec.Values {
			literal, ok := value.(*ast.BasicLit)
			kind, named := spec.Type.(*ast.Ident)
			if !ok || literal.Kind != token.STRING || !named || kind.Name != "FindingCode" {
				continue
			}
			found++
			code, _ := strconv.Unquote(literal.Value)
			if about := findings[engine.FindingCode(code)]; about.severity == "" || about.remedy == "" {
				t.Errorf("%s has no severity or no remedy", spec.Names[i].Name)
			}
		}
	})
	if found != len(findings) || found == 0 {
		t.Errorf("the engine has %d codes, the table %d", found, len(findings))
	}
}
