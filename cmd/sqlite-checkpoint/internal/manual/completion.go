package manual

import (
	"embed"
	"io"
	"strings"
	"text/template"

	"github.com/alecthomas/kong"
)

//go:embed completion.*
var scripts embed.FS

// Completion writes the script that completes the command line in shell: bash, zsh or fish.
func Completion(w io.Writer, shell string, app *kong.Application) error {
	t, err := template.New("completion."+shell).Funcs(template.FuncMap{
		"join":  strings.Join,
		"words": spellings,
		"quote": quote,
		"zsh":   zshQuote,
	}).ParseFS(scripts, "completion."+shell)
	if err != nil {
		return err
	}
	return t.Execute(w, map[string]any{
		"Program":  app.Name,
		"Function": "_" + strings.ReplaceAll(app.Name, "-", "_"),
		"Commands": commands(app),
		"Flags":    describe(app.Node).Flags,
	})
}

func spellings(flags []flag) string {
	var words []string
	for _, f := range flags {
		words = append(words, f.Spellings()...)
	}
	return strings.Join(words, " ")
}

// quote makes text one word of a shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// zshQuote quotes a part of a specification of _arguments, where colons and brackets are special.
func zshQuote(text string) string {
	text = strings.NewReplacer(`\`, `\\`, ":", `\:`, "[", `\[`, "]", `\]`).Replace(text)
	return strings.ReplaceAll(text, "'", `'\''`)
}
